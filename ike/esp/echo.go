package esp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	echoHeaderSize = 8
	maxEchoData    = 65535 - ipv6HeaderSize - echoHeaderSize
)

// Echo is an ICMP or ICMPv6 echo request or reply (RFC 792, RFC 4443 section 4), for
// trying a tunnel without a TUN device.
type Echo struct {
	Src, Dst netip.Addr // of one family
	Reply    bool
	ID, Seq  uint16
	Data     []byte
}

// Append appends the IP packet to b.
func (e Echo) Append(b []byte) ([]byte, error) {
	src, dst := e.Src.Unmap(), e.Dst.Unmap()
	if !src.IsValid() || src.BitLen() != dst.BitLen() {
		return b, fmt.Errorf("make ICMP echo: %v and %v are not two addresses of one family", e.Src, e.Dst)
	}
	if len(e.Data) > maxEchoData {
		return b, fmt.Errorf("make ICMP echo: %d octets of data, at most %d fit", len(e.Data), maxEchoData)
	}
	start, n := len(b), echoHeaderSize+len(e.Data)
	typ := byte(8)
	if src.Is4() {
		if e.Reply {
			typ = 0
		}
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderSize+n))
		b = append(b, 0, 0, 0, 0, 64, protoICMP, 0, 0)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(b[start+10:], checksum(0, b[start:]))
	} else {
		typ = 128
		if e.Reply {
			typ = 129
		}
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, protoICMPv6, 64)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	}
	icmp := len(b)
	b = append(b, typ, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, e.ID)
	b = binary.BigEndian.AppendUint16(b, e.Seq)
	b = append(b, e.Data...)
	binary.BigEndian.PutUint16(b[icmp+2:], checksum(pseudoHeader(src, dst, n), b[icmp:]))
	return b, nil
}

// ParseEcho reads an unfragmented ICMP or ICMPv6 echo packet and checks its
// checksum. Data is a view of p.
func ParseEcho(p []byte) (Echo, error) {
	p, f, err := parseIP(p)
	if err != nil {
		return Echo{}, fmt.Errorf("parse ICMP echo: %w", err)
	}
	v4 := f.src.Is4()
	if v4 && f.protocol != protoICMP || !v4 && f.protocol != protoICMPv6 || !f.portsKnown || v4 && p[6]&0x20 != 0 {
		return Echo{}, fmt.Errorf("parse ICMP echo: protocol %d, or a fragment", f.protocol)
	}
	m := p[f.payload:]
	if len(m) < echoHeaderSize {
		return Echo{}, fmt.Errorf("parse ICMP echo: %d octets", len(m))
	}
	if checksum(pseudoHeader(f.src, f.dst, len(m)), m) != 0 {
		return Echo{}, fmt.Errorf("parse ICMP echo: bad checksum")
	}
	e := Echo{Src: f.src, Dst: f.dst, ID: binary.BigEndian.Uint16(m[4:]), Seq: binary.BigEndian.Uint16(m[6:]), Data: m[echoHeaderSize:]}
	switch {
	case m[1] != 0:
		return Echo{}, fmt.Errorf("parse ICMP echo: code %d", m[1])
	case v4 && m[0] == 8 || !v4 && m[0] == 128:
	case v4 && m[0] == 0 || !v4 && m[0] == 129:
		e.Reply = true
	default:
		return Echo{}, fmt.Errorf("parse ICMP echo: type %d", m[0])
	}
	return e, nil
}

// pseudoHeader sums what ICMPv6 adds to its checksum (RFC 8200 section 8.1); ICMP
// adds nothing.
func pseudoHeader(src, dst netip.Addr, n int) uint32 {
	if src.Is4() {
		return 0
	}
	sum := uint32(n) + protoICMPv6
	for _, a := range [][16]byte{src.As16(), dst.As16()} {
		for i := 0; i < 16; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(a[i:]))
		}
	}
	return sum
}

// checksum is the internet checksum (RFC 1071) of b after sum.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
