package ike

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/ike/message"
)

// TrafficSelector is a range of addresses and ports (RFC 7296 section 3.13.1). In a
// ChildConfig a selector without addresses (DynamicSelector) means the
// address of that end: the virtual IP or the outer address.
type TrafficSelector = message.TrafficSelector

// DynamicSelector is the selector "dynamic" of swanctl.conf.
var DynamicSelector = TrafficSelector{EndPort: 65535}

// IsDynamic reports whether the addresses of t are to be filled in.
func IsDynamic(t TrafficSelector) bool { return !t.Start.IsValid() && t.Raw == nil }

// protocols are the names that swanctl.conf may use.
var protocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}

// ParseTrafficSelector reads swanctl.conf's notation: "dynamic", an address,
// a prefix or a range "a-b", followed by "[protocol/port]" where they are
// restricted; port may be a range or %any.
func ParseTrafficSelector(s string) (TrafficSelector, error) {
	bad := func(what string) (TrafficSelector, error) {
		return TrafficSelector{}, fmt.Errorf("traffic selector %q: %s", s, what)
	}
	addr, restrict, has := strings.Cut(strings.TrimSpace(s), "[")
	t := TrafficSelector{EndPort: 65535}
	addr = strings.TrimSpace(addr)
	if from, to, ok := strings.Cut(addr, "-"); addr == "dynamic" || addr == "%dynamic" || addr == "" && has {
	} else if ok {
		var err1, err2 error
		t.Start, err1 = netip.ParseAddr(strings.TrimSpace(from))
		t.End, err2 = netip.ParseAddr(strings.TrimSpace(to))
		if err1 != nil || err2 != nil || t.Start.BitLen() != t.End.BitLen() || t.End.Less(t.Start) {
			return bad("no range of addresses")
		}
		t.TSType = message.TSIPv6Range
		if t.Start.Is4() {
			t.TSType = message.TSIPv4Range
		}
	} else if strings.Contains(addr, "/") {
		p, err := netip.ParsePrefix(addr)
		if err != nil {
			return bad("no prefix")
		}
		t = withAddr(t, p)
	} else {
		a, err := netip.ParseAddr(addr)
		if err != nil || a.Zone() != "" {
			return bad("no address, prefix, range or \"dynamic\"")
		}
		t = withAddr(t, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	if !has {
		return t, nil
	}
	restrict, ok := strings.CutSuffix(restrict, "]")
	if !ok {
		return bad("missing ]")
	}
	proto, port, hasPort := strings.Cut(restrict, "/")
	switch p, known := protocols[proto]; {
	case known:
		t.Protocol = p
	case proto == "" || proto == "%any" || proto == "any":
	default:
		n, err := strconv.ParseUint(proto, 10, 8)
		if err != nil {
			return bad("unknown protocol " + strconv.Quote(proto))
		}
		t.Protocol = uint8(n)
	}
	if !hasPort || port == "%any" || port == "any" {
		return t, nil
	}
	if port == "%opaque" || port == "opaque" {
		t.StartPort, t.EndPort = 65535, 0
		return t, nil
	}
	lo, hi, isRange := strings.Cut(port, "-")
	if !isRange {
		hi = lo
	}
	a, err1 := strconv.ParseUint(lo, 10, 16)
	b, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil || a > b {
		return bad("no port or range of ports")
	}
	t.StartPort, t.EndPort = uint16(a), uint16(b)
	return t, nil
}

// withAddr fills the addresses of a dynamic selector in.
func withAddr(t TrafficSelector, p netip.Prefix) TrafficSelector {
	a := message.SelectorFromPrefix(p)
	t.TSType, t.Start, t.End = a.TSType, a.Start, a.End
	return t
}

func selectors(ts []TrafficSelector) string {
	s := make([]string, len(ts))
	for i, t := range ts {
		s[i] = t.String()
		if IsDynamic(t) {
			s[i] = "dynamic"
		}
	}
	return strings.Join(s, " ")
}
