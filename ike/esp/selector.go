package esp

import (
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
)

// Ports of a selector whose packets carry any port, or none that can be seen
// (RFC 4301 section 4.4.1.1).
const (
	anyPortStart, anyPortEnd       = 0, 65535
	opaquePortStart, opaquePortEnd = 65535, 0
)

// Matches reports whether an IP packet goes from an address of local to one of
// remote, with protocol and ports that both allow.
func Matches(packet []byte, local, remote []message.TrafficSelector) bool {
	_, f, err := parseIP(packet)
	return err == nil && anyMatches(local, f.src, &f, f.sport) && anyMatches(remote, f.dst, &f, f.dport)
}

func matches(s *message.TrafficSelector, a netip.Addr, f *flow, port uint16) bool {
	if a.BitLen() != s.Start.BitLen() || a.Less(s.Start) || s.End.Less(a) {
		return false
	}
	if s.Protocol != 0 && s.Protocol != f.protocol {
		return false
	}
	switch {
	case s.StartPort == anyPortStart && s.EndPort == anyPortEnd:
		return true
	case s.StartPort == opaquePortStart && s.EndPort == opaquePortEnd:
		return !f.portsKnown
	case !f.portsKnown:
		return false
	}
	return port >= s.StartPort && port <= s.EndPort
}

func anyMatches(ss []message.TrafficSelector, a netip.Addr, f *flow, port uint16) bool {
	for i := range ss {
		if matches(&ss[i], a, f, port) {
			return true
		}
	}
	return false
}

// ranges returns the selectors of ss that are ranges of addresses: no packet
// matches those of another type (RFC 7296 section 3.13.1).
func ranges(ss []message.TrafficSelector) []message.TrafficSelector {
	var out []message.TrafficSelector
	for _, s := range ss {
		if s.TSType == message.TSIPv4Range || s.TSType == message.TSIPv6Range {
			out = append(out, s)
		}
	}
	return out
}
