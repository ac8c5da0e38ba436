package ike

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// configRequest makes the CP payload that asks for virtual IPs and name servers
// (RFC 7296 section 3.15).
func configRequest(ips []netip.Addr) *message.CP {
	cp := &message.CP{CPType: message.CPRequest}
	add := func(t message.CPAttributeType, v []byte) {
		cp.Attributes = append(cp.Attributes, message.CPAttribute{Type: t, Value: v})
	}
	var has4, has6 bool
	for _, v := range ips {
		var value []byte
		if v.Is4() {
			has4 = true
			if !v.IsUnspecified() {
				value = v.AsSlice()
			}
			add(message.InternalIP4Address, value)
			continue
		}
		has6 = true
		if !v.IsUnspecified() {
			value = append(v.AsSlice(), 128)
		}
		add(message.InternalIP6Address, value)
	}
	if has4 {
		add(message.InternalIP4DNS, nil)
	}
	if has6 {
		add(message.InternalIP6DNS, nil)
	}
	return cp
}

// configReply reads the CP reply. What was not asked for is ignored: addresses
// of another family, and without a request name servers too.
func (set *childSet) configReply(msg *message.Message) (in Internal, err error) {
	if len(set.cfg.VirtualIPs) == 0 {
		return Internal{}, nil
	}
	var want4, want6 bool
	for _, v := range set.cfg.VirtualIPs {
		want4 = want4 || v.Is4()
		want6 = want6 || !v.Is4()
	}
	for _, cp := range message.All[*message.CP](msg.Payloads) {
		if cp.CPType != message.CPReply {
			continue
		}
		for _, a := range cp.Attributes {
			in.add(a, want4, want6)
		}
	}
	for _, a := range in.Addresses {
		if x := a.Addr(); x.IsUnspecified() || x.IsMulticast() || x.IsLoopback() {
			return Internal{}, fmt.Errorf("the gateway assigned the unusable virtual IP %s", x)
		}
		log.Infof(set.ike, "installing new virtual IP %s", a.Addr())
	}
	if len(in.Addresses) == 0 {
		return Internal{}, ErrNoVirtualIP
	}
	return in, nil
}

// add reads one attribute of a CP reply.
func (in *Internal) add(a message.CPAttribute, want4, want6 bool) {
	v := a.Value
	switch {
	case a.Type == message.InternalIP4Address && len(v) == 4 && want4:
		in.Addresses = append(in.Addresses, host(netip.AddrFrom4([4]byte(v))))
	case a.Type == message.InternalIP6Address && len(v) == 17 && want6 && v[16] <= 128:
		in.Addresses = append(in.Addresses, host(netip.AddrFrom16([16]byte(v))))
	case a.Type == message.InternalIP4DNS && len(v) == 4, a.Type == message.InternalIP6DNS && len(v) == 16:
		d, _ := netip.AddrFromSlice(v)
		in.DNS = append(in.DNS, d)
	case a.Type == message.InternalIP4Subnet && len(v) == 8:
		if bits, ok := maskBits(v[4:]); ok {
			in.Subnets = append(in.Subnets, netip.PrefixFrom(netip.AddrFrom4([4]byte(v)), bits).Masked())
		}
	case a.Type == message.InternalIP6Subnet && len(v) == 17 && v[16] <= 128:
		in.Subnets = append(in.Subnets, netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(v[16])).Masked())
	case a.Type == message.InternalDNSDomain && len(v) > 0:
		in.Domains = append(in.Domains, string(v))
	}
}

func maskBits(mask []byte) (int, bool) {
	v := binary.BigEndian.Uint32(mask)
	n := 0
	for v&0x80000000 != 0 {
		n++
		v <<= 1
	}
	return n, v == 0
}
