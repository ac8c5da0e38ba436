package message

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// TSType is a traffic selector type (RFC 7296 section 3.13.1).
type TSType uint8

// Traffic selector types.
const (
	TSIPv4Range TSType = 7
	TSIPv6Range TSType = 8
)

// TrafficSelector is one range of addresses, ports and a protocol. The ports
// of an "opaque" selector are 65535 to 0.
type TrafficSelector struct {
	TSType             TSType
	Protocol           uint8 // 0: any
	StartPort, EndPort uint16
	Start, End         netip.Addr // zero where Raw is set
	Raw                []byte     // what follows the length, of an unknown TSType
}

// SelectorFromPrefix returns the selector of every protocol and port of p.
func SelectorFromPrefix(p netip.Prefix) TrafficSelector {
	p = p.Masked()
	start := p.Addr().Unmap()
	t := TSIPv6Range
	if start.Is4() {
		t = TSIPv4Range
	}
	return TrafficSelector{TSType: t, EndPort: 65535, Start: start, End: lastAddr(start, p.Bits())}
}

// SelectorFromAddr returns the selector of every protocol and port of a.
func SelectorFromAddr(a netip.Addr) TrafficSelector {
	a = a.Unmap().WithZone("")
	return SelectorFromPrefix(netip.PrefixFrom(a, a.BitLen()))
}

// Prefix returns the range as a prefix where it is exactly one.
func (s TrafficSelector) Prefix() (netip.Prefix, bool) {
	if !s.Start.IsValid() || s.Start.BitLen() != s.End.BitLen() {
		return netip.Prefix{}, false
	}
	for bits := 0; bits <= s.Start.BitLen(); bits++ {
		p := netip.PrefixFrom(s.Start, bits)
		if p.Masked().Addr() != s.Start {
			continue
		}
		if SelectorFromPrefix(p).End == s.End {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// Contains reports whether the range of s holds that of o: addresses, ports
// and protocol.
func (s TrafficSelector) Contains(o TrafficSelector) bool {
	if s.TSType != o.TSType || !s.Start.IsValid() || !o.Start.IsValid() {
		return false
	}
	if s.Protocol != 0 && s.Protocol != o.Protocol {
		return false
	}
	if s.Start.Compare(o.Start) > 0 || s.End.Compare(o.End) < 0 {
		return false
	}
	return s.StartPort == 0 && s.EndPort == 65535 || s.StartPort <= o.StartPort && s.EndPort >= o.EndPort && o.StartPort <= o.EndPort
}

// Intersect returns what both have in common.
func (s TrafficSelector) Intersect(o TrafficSelector) (TrafficSelector, bool) {
	if s.TSType != o.TSType || !s.Start.IsValid() || !o.Start.IsValid() {
		return TrafficSelector{}, false
	}
	switch {
	case s.Protocol == 0:
		s.Protocol = o.Protocol
	case o.Protocol != 0 && o.Protocol != s.Protocol:
		return TrafficSelector{}, false
	}
	if o.Start.Compare(s.Start) > 0 {
		s.Start = o.Start
	}
	if o.End.Compare(s.End) < 0 {
		s.End = o.End
	}
	everyPort := func(t TrafficSelector) bool { return t.StartPort == 0 && t.EndPort == 65535 }
	switch {
	case everyPort(o):
	case everyPort(s):
		s.StartPort, s.EndPort = o.StartPort, o.EndPort
	case s.StartPort == o.StartPort && s.EndPort == o.EndPort:
	default:
		s.StartPort, s.EndPort = max(s.StartPort, o.StartPort), min(s.EndPort, o.EndPort)
		if s.StartPort > s.EndPort {
			return TrafficSelector{}, false
		}
	}
	if s.Start.Compare(s.End) > 0 {
		return TrafficSelector{}, false
	}
	return s, true
}

// String is strongSwan's form: "10.1.0.0/16", "10.0.0.1..10.0.0.9[tcp/80]".
func (s TrafficSelector) String() string {
	if !s.Start.IsValid() {
		return fmt.Sprintf("TS_TYPE_%d", uint8(s.TSType))
	}
	a := s.Start.String() + ".." + s.End.String()
	if p, ok := s.Prefix(); ok {
		a = p.String()
	}
	if s.Protocol == 0 && s.StartPort == 0 && s.EndPort == 65535 {
		return a
	}
	proto := fmt.Sprint(s.Protocol)
	switch s.Protocol {
	case 0:
		proto = "0"
	case 1:
		proto = "icmp"
	case 6:
		proto = "tcp"
	case 17:
		proto = "udp"
	case 58:
		proto = "ipv6-icmp"
	}
	switch {
	case s.StartPort == 0 && s.EndPort == 65535:
		return fmt.Sprintf("%s[%s]", a, proto)
	case s.StartPort == 65535 && s.EndPort == 0:
		return fmt.Sprintf("%s[%s/OPAQUE]", a, proto)
	case s.StartPort == s.EndPort:
		return fmt.Sprintf("%s[%s/%s]", a, proto, s.port(s.StartPort))
	}
	return fmt.Sprintf("%s[%s/%s-%s]", a, proto, s.port(s.StartPort), s.port(s.EndPort))
}

// port writes a port; of ICMP it holds the type, and the code where it is not 0
// (RFC 7296 section 3.13.1).
func (s TrafficSelector) port(n uint16) string {
	switch {
	case s.Protocol != 1 && s.Protocol != 58:
		return strconv.Itoa(int(n))
	case n&0xff != 0:
		return fmt.Sprintf("%d(%d)", n>>8, n&0xff)
	}
	return strconv.Itoa(int(n >> 8))
}

// TSi is the Traffic Selector payload of the initiator (RFC 7296 section 3.13).
type TSi struct{ Selectors []TrafficSelector }

// Type returns TypeTSi.
func (*TSi) Type() PayloadType { return TypeTSi }

// AppendBody appends the selectors.
func (p *TSi) AppendBody(b []byte) ([]byte, error) { return appendSelectors(b, p.Selectors) }

// TSr is the Traffic Selector payload of the responder (RFC 7296 section 3.13).
type TSr struct{ Selectors []TrafficSelector }

// Type returns TypeTSr.
func (*TSr) Type() PayloadType { return TypeTSr }

// AppendBody appends the selectors.
func (p *TSr) AppendBody(b []byte) ([]byte, error) { return appendSelectors(b, p.Selectors) }

func parseSelectors(r *wire.Reader) (ss []TrafficSelector) {
	at := r.Offset()
	count := int(r.U8())
	r.Skip(3)
	if r.Err() == nil && (count == 0 || count > MaxTrafficSelectors) {
		r.Fail(at, fmt.Errorf("%d selectors: %w", count, wire.ErrValue))
	}
	for i := 0; i < count && r.Err() == nil; i++ {
		at := r.Offset()
		s := TrafficSelector{TSType: TSType(r.U8()), Protocol: r.U8()}
		n := int(r.U16())
		size := 0
		switch s.TSType {
		case TSIPv4Range:
			size = 4
		case TSIPv6Range:
			size = 16
		default:
			s.Raw = clone(r.Bytes(n - 4))
			ss = append(ss, s)
			continue
		}
		if r.Err() == nil && n != 8+2*size {
			r.Fail(at, wire.ErrLength)
		}
		s.StartPort, s.EndPort = r.U16(), r.U16()
		s.Start, _ = netip.AddrFromSlice(r.Bytes(size))
		s.End, _ = netip.AddrFromSlice(r.Bytes(size))
		if r.Err() == nil && s.Start.Compare(s.End) > 0 {
			r.Fail(at, fmt.Errorf("selector ends before it starts: %w", wire.ErrValue))
		}
		ss = append(ss, s)
	}
	return ss
}

func appendSelectors(b []byte, ss []TrafficSelector) ([]byte, error) {
	if len(ss) == 0 || len(ss) > MaxTrafficSelectors {
		return b, fmt.Errorf("%d selectors: %w", len(ss), wire.ErrValue)
	}
	out := append(b, byte(len(ss)), 0, 0, 0)
	for _, s := range ss {
		out = append(out, byte(s.TSType), s.Protocol)
		size := 0
		switch s.TSType {
		case TSIPv4Range:
			size = 4
		case TSIPv6Range:
			size = 16
		default:
			if len(s.Raw) > 65531 {
				return b, wire.ErrTooLong
			}
			out = append(wire.AppendU16(out, uint16(len(s.Raw)+4)), s.Raw...)
			continue
		}
		if s.Start.BitLen() != 8*size || s.End.BitLen() != 8*size {
			return b, fmt.Errorf("selector %s: %w", s, wire.ErrValue)
		}
		out = wire.AppendU16(out, uint16(8+2*size))
		out = wire.AppendU16(wire.AppendU16(out, s.StartPort), s.EndPort)
		out = append(append(out, s.Start.AsSlice()...), s.End.AsSlice()...)
	}
	return out, nil
}
