package ike

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

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

// requestedIPs returns the virtual IPs to ask for: as configured, with those of the
// last IKE_SA where any will do.
func (c *Config) requestedIPs() []netip.Addr {
	last := slices.Clone(c.VirtualIPs.Last)
	ips := slices.Clone(c.VirtualIPs.Wanted)
	for i, v := range ips {
		if !v.IsUnspecified() {
			continue
		}
		fits := func(a netip.Addr) bool {
			return a.Is4() == v.Is4() && !a.IsUnspecified() && !slices.Contains(ips, a)
		}
		if n := slices.IndexFunc(last, fits); n >= 0 {
			ips[i] = last[n]
		}
	}
	return ips
}

// Caps on what is taken of the gateway's CP reply, above what anybody needs.
const (
	maxVirtualIPs = 16
	maxDNS        = 16
	maxSubnets    = 128
	maxDomains    = 64
)

// configReply reads the CP reply. What was not asked for is ignored: addresses
// of another family, and without a request name servers too. Without a virtual
// IP the connection goes on with the address that it has, as in strongSwan.
func (set *childSet) configReply(msg *message.Message) (Internal, error) {
	if len(set.cfg.VirtualIPs.Wanted) == 0 {
		return Internal{}, nil
	}
	r := replyReader{logger: set.ike}
	for _, v := range set.cfg.VirtualIPs.Wanted {
		r.want4 = r.want4 || v.Is4()
		r.want6 = r.want6 || !v.Is4()
	}
	for _, cp := range message.All[*message.CP](msg.Payloads) {
		if cp.CPType != message.CPReply {
			continue
		}
		for _, a := range cp.Attributes {
			r.add(a)
		}
	}
	for _, a := range r.in.Addresses {
		if x := a.Addr(); x.IsMulticast() || x.IsLoopback() || x.Is4In6() || x == broadcast4 {
			return Internal{}, fmt.Errorf("the gateway assigned the unusable virtual IP %s", x)
		}
		log.Infof(set.ike, "installing new virtual IP %s", a.Addr())
	}
	if len(r.in.Addresses) == 0 {
		log.Infof(set.ike, "the gateway assigned no virtual IP, going on with %s", set.path.local.Addr())
	}
	return r.in, nil
}

// replyReader collects what the attributes of a CP reply say.
type replyReader struct {
	logger       *slog.Logger
	want4, want6 bool
	in           Internal
	full         map[string]bool // kinds whose cap was logged
}

// add reads one attribute of a CP reply.
func (r *replyReader) add(a message.CPAttribute) {
	v := a.Value
	switch {
	case a.Type == message.InternalIP4Address && len(v) == 4 && r.want4:
		r.address(netip.AddrFrom4([4]byte(v)))
	case a.Type == message.InternalIP6Address && len(v) == 17 && r.want6 && v[16] <= 128:
		r.address(netip.AddrFrom16([16]byte(v)))
	case a.Type == message.InternalIP4DNS && len(v) == 4, a.Type == message.InternalIP6DNS && len(v) == 16:
		d, _ := netip.AddrFromSlice(v)
		r.server(d)
	case a.Type == message.InternalIP4Subnet && len(v) == 8:
		if bits, ok := maskBits(v[4:]); ok {
			r.subnet(netip.PrefixFrom(netip.AddrFrom4([4]byte(v)), bits))
		}
	case a.Type == message.InternalIP6Subnet && len(v) == 17 && v[16] <= 128:
		r.subnet(netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(v[16])))
	case a.Type == message.InternalDNSDomain && len(v) > 0:
		r.in.Domains = collect(r, r.in.Domains, string(v), maxDomains, "DNS domains")
	}
}

// address takes a virtual IP. The unspecified address is none, as in strongSwan.
func (r *replyReader) address(a netip.Addr) {
	if !a.IsUnspecified() {
		r.in.Addresses = collect(r, r.in.Addresses, host(a), maxVirtualIPs, "virtual IPs")
	}
}

// server takes a DNS server, unless its address is no host's.
func (r *replyReader) server(a netip.Addr) {
	if x := a.Unmap(); x.IsUnspecified() || x.IsMulticast() || x.IsLoopback() || x == broadcast4 {
		log.Infof(r.logger, "ignoring DNS server %s: that is no host's address", a)
		return
	}
	r.in.DNS = collect(r, r.in.DNS, a, maxDNS, "DNS servers")
}

func (r *replyReader) subnet(p netip.Prefix) {
	r.in.Subnets = collect(r, r.in.Subnets, p.Masked(), maxSubnets, "subnets")
}

// broadcast4 is the limited broadcast address of IPv4.
var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// collect appends v to list, once, and up to limit values. That the gateway has
// sent more of a kind is logged once.
func collect[T comparable](r *replyReader, list []T, v T, limit int, kind string) []T {
	switch {
	case slices.Contains(list, v):
	case len(list) < limit:
		list = append(list, v)
	case !r.full[kind]:
		if r.full == nil {
			r.full = map[string]bool{}
		}
		r.full[kind] = true
		log.Infof(r.logger, "the gateway sent more than %d %s, ignoring the rest", limit, kind)
	}
	return list
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
