package gateway

import (
	"encoding/binary"
	"net/netip"
)

// Protocol numbers and lengths of the packets that the gateway answers.
const (
	protoICMP   = 1
	protoICMPv6 = 58
	ipv4Header  = 20
	ipv6Header  = 40
	icmpHeader  = 8
)

// packetAddrs returns source and destination of an IP packet.
func packetAddrs(p []byte) (src, dst netip.Addr, ok bool) {
	switch {
	case len(p) >= ipv4Header && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), true
	case len(p) >= ipv6Header && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40])), true
	}
	return src, dst, false
}

// echoReply answers an ICMP or ICMPv6 echo request in the name of its
// destination (RFC 792, RFC 4443 section 4.2). The result is a packet of its own;
// false where p is no unfragmented, intact echo request.
func echoReply(p []byte) ([]byte, bool) {
	src, dst, ok := packetAddrs(p)
	if !ok {
		return nil, false
	}
	if src.Is4() {
		header := int(p[0]&0xf) * 4
		total := int(binary.BigEndian.Uint16(p[2:]))
		if header < ipv4Header || total > len(p) || total < header+icmpHeader || p[9] != protoICMP ||
			binary.BigEndian.Uint16(p[6:])&0x3fff != 0 || p[header] != 8 || checksum(0, p[header:total]) != 0 {
			return nil, false
		}
		r := append([]byte(nil), p[:total]...)
		copy(r[12:16], p[16:20])
		copy(r[16:20], p[12:16])
		r[8] = 64
		binary.BigEndian.PutUint16(r[10:], 0)
		binary.BigEndian.PutUint16(r[10:], checksum(0, r[:header]))
		r[header] = 0
		binary.BigEndian.PutUint16(r[header+2:], 0)
		binary.BigEndian.PutUint16(r[header+2:], checksum(0, r[header:]))
		return r, true
	}
	total := ipv6Header + int(binary.BigEndian.Uint16(p[4:]))
	if total > len(p) || total < ipv6Header+icmpHeader || p[6] != protoICMPv6 || p[ipv6Header] != 128 ||
		checksum(pseudo6(src, dst, total-ipv6Header), p[ipv6Header:total]) != 0 {
		return nil, false
	}
	r := append([]byte(nil), p[:total]...)
	copy(r[8:24], p[24:40])
	copy(r[24:40], p[8:24])
	r[7] = 64
	r[ipv6Header] = 129
	binary.BigEndian.PutUint16(r[ipv6Header+2:], 0)
	binary.BigEndian.PutUint16(r[ipv6Header+2:], checksum(pseudo6(dst, src, total-ipv6Header), r[ipv6Header:]))
	return r, true
}

// pseudo6 sums the pseudo header of RFC 8200 section 8.1 for ICMPv6.
func pseudo6(src, dst netip.Addr, length int) uint32 {
	s, d := src.As16(), dst.As16()
	sum := uint32(length) + protoICMPv6
	for i := 0; i < 16; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(s[i:])) + uint32(binary.BigEndian.Uint16(d[i:]))
	}
	return sum
}

// checksum is the internet checksum of b (RFC 1071), started with sum.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
