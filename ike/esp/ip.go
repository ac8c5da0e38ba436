package esp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Protocols of the IP header that selectors or helpers look into.
const (
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoDCCP     = 33
	protoRouting6 = 43
	protoFrag6    = 44
	protoICMPv6   = 58
	protoHopOpts6 = 0
	protoDstOpts6 = 60
	protoMobility = 135
	protoSCTP     = 132
	protoUDPLite  = 136

	ipv4HeaderSize = 20
	ipv6HeaderSize = 40
	// maxExtensions caps the IPv6 extension headers that are walked.
	maxExtensions = 8
)

// flow is what selectors match of an IP packet.
type flow struct {
	src, dst   netip.Addr
	protocol   uint8
	sport      uint16
	dport      uint16
	portsKnown bool // false for fragments without the transport header
	payload    int  // offset of the transport header
}

// parseIP reads the header of an IP packet and returns the packet cut to its
// own length: what follows is padding (RFC 4303 section 2.7).
func parseIP(p []byte) ([]byte, flow, error) {
	if len(p) < 1 {
		return nil, flow{}, fmt.Errorf("%w: empty", ErrPacket)
	}
	switch p[0] >> 4 {
	case 4:
		return parseIPv4(p)
	case 6:
		return parseIPv6(p)
	}
	return nil, flow{}, fmt.Errorf("%w: version %d", ErrPacket, p[0]>>4)
}

func parseIPv4(p []byte) ([]byte, flow, error) {
	if len(p) < ipv4HeaderSize {
		return nil, flow{}, fmt.Errorf("%w: %d octets", ErrPacket, len(p))
	}
	header, total := int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < ipv4HeaderSize || total < header || total > len(p) {
		return nil, flow{}, fmt.Errorf("%w: bad length", ErrPacket)
	}
	f := flow{
		src: netip.AddrFrom4([4]byte(p[12:16])), dst: netip.AddrFrom4([4]byte(p[16:20])),
		protocol: p[9], payload: header,
	}
	p = p[:total]
	if binary.BigEndian.Uint16(p[6:])&0x1fff == 0 {
		f.ports(p)
	}
	return p, f, nil
}

func parseIPv6(p []byte) ([]byte, flow, error) {
	if len(p) < ipv6HeaderSize {
		return nil, flow{}, fmt.Errorf("%w: %d octets", ErrPacket, len(p))
	}
	total := ipv6HeaderSize + int(binary.BigEndian.Uint16(p[4:]))
	if total > len(p) {
		return nil, flow{}, fmt.Errorf("%w: bad length", ErrPacket)
	}
	p = p[:total]
	f := flow{src: netip.AddrFrom16([16]byte(p[8:24])), dst: netip.AddrFrom16([16]byte(p[24:40])), payload: ipv6HeaderSize}
	next := p[6]
	for range maxExtensions {
		rest := p[f.payload:]
		size := 0
		switch next {
		case protoHopOpts6, protoRouting6, protoDstOpts6, protoMobility:
			if len(rest) < 8 {
				return nil, flow{}, fmt.Errorf("%w: bad extension header", ErrPacket)
			}
			size = (int(rest[1]) + 1) * 8
		case protoFrag6:
			if len(rest) < 8 {
				return nil, flow{}, fmt.Errorf("%w: bad extension header", ErrPacket)
			}
			size = 8
			if binary.BigEndian.Uint16(rest[2:])&^7 != 0 { // not the first fragment
				f.protocol = rest[0]
				f.payload += size
				return p, f, nil
			}
		default:
			f.protocol = next
			f.ports(p)
			return p, f, nil
		}
		if size > len(rest) {
			return nil, flow{}, fmt.Errorf("%w: bad extension header", ErrPacket)
		}
		next = rest[0]
		f.payload += size
	}
	return nil, flow{}, fmt.Errorf("%w: more than %d extension headers", ErrPacket, maxExtensions)
}

// ports reads the ports of the transport header; ICMP's type and code take
// their place, as RFC 4301 section 4.4.1.1 has them.
func (f *flow) ports(p []byte) {
	t := p[f.payload:]
	switch f.protocol {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		if len(t) >= 4 {
			f.sport, f.dport, f.portsKnown = binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:]), true
		}
	case protoICMP, protoICMPv6:
		if len(t) >= 2 {
			f.sport = binary.BigEndian.Uint16(t)
			f.dport, f.portsKnown = f.sport, true
		}
	}
}
