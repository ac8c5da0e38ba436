package swanctl

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// TrafficSelector is one item of local_ts or remote_ts.
type TrafficSelector struct {
	// Dynamic stands for the tunnel's outer address, or the virtual IP; From
	// and To are then not set.
	Dynamic  bool
	From, To netip.Addr // inclusive, of one family
	Protocol uint8      // 0 = any
	// FromPort to ToPort, 0 to 65535 = any; 65535 to 0 = OPAQUE.
	FromPort, ToPort uint16
}

// Dynamic is the default selector.
var Dynamic = TrafficSelector{Dynamic: true, ToPort: 65535}

// protocols of getprotobyname that occur in selectors; the rest is given by
// number.
var protocols = map[string]uint8{
	"any": 0, "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
	"gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "eigrp": 88, "ospf": 89, "pim": 103,
	"vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}

// protocolNames are the names that String writes.
var protocolNames = map[uint8]string{
	1: "icmp", 2: "igmp", 4: "ipencap", 6: "tcp", 8: "egp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah",
	58: "ipv6-icmp", 88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp", 115: "l2tp", 132: "sctp", 136: "udplite",
}

func parseTSList(v config.Value) ([]TrafficSelector, error) {
	var ts []TrafficSelector
	for _, s := range v.List() {
		t, err := ParseTrafficSelector(s)
		if err != nil {
			return nil, v.Errorf("%s: %w", v.Key, err)
		}
		ts = append(ts, t)
	}
	if len(ts) == 0 {
		return nil, v.Errorf("%s names no subnet; leave it away for dynamic", v.Key)
	}
	return ts, nil
}

// ParseTrafficSelector reads a subnet, an address, a range or "dynamic", and
// after it "[protocol]", "[protocol/port]" or "[protocol/port-port]".
func ParseTrafficSelector(s string) (TrafficSelector, error) {
	t := TrafficSelector{ToPort: 65535}
	addr, rest, hasProto := strings.Cut(s, "[")
	if hasProto {
		inner, ok := strings.CutSuffix(rest, "]")
		if !ok {
			return t, fmt.Errorf("selector %q: ']' is missing at its end", s)
		}
		proto, port, _ := strings.Cut(inner, "/")
		if p, ok := protocols[proto]; ok {
			t.Protocol = p
		} else if proto != "" {
			n, err := strconv.ParseUint(proto, 0, 8)
			if err != nil {
				return t, fmt.Errorf("selector %q: protocol %q is not known: write a number, or a name such as tcp%s", s, proto, config.Suggest(proto, slices.Sorted(maps.Keys(protocols))))
			}
			t.Protocol = uint8(n)
		}
		var err error
		if t.FromPort, t.ToPort, err = parsePorts(t.Protocol, port); err != nil {
			return t, fmt.Errorf("selector %q: %w", s, err)
		}
		if t.Protocol == 1 || t.Protocol == 58 {
			t.FromPort, t.ToPort = icmpPort(t.FromPort), icmpPort(t.ToPort)
		}
	}
	addr = strings.TrimSpace(addr)
	switch {
	case addr == "dynamic":
		t.Dynamic = true
		return t, nil
	case isRange(addr):
		from, to, _ := strings.Cut(addr, "-")
		var err1, err2 error
		t.From, err1 = netip.ParseAddr(from)
		t.To, err2 = netip.ParseAddr(to)
		if err1 != nil || err2 != nil || t.From.Zone() != "" || t.To.Zone() != "" || t.From.Is4() != t.To.Is4() || t.To.Less(t.From) {
			return t, fmt.Errorf("selector %q: not a range of addresses", s)
		}
		return t, nil
	}
	if !strings.Contains(addr, "/") {
		a, err := netip.ParseAddr(addr)
		if err != nil || a.Zone() != "" {
			return t, fmt.Errorf("selector %q: not a subnet, address, range or dynamic", s)
		}
		t.From, t.To = a, a
		return t, nil
	}
	p, err := netip.ParsePrefix(addr)
	if err != nil {
		return t, fmt.Errorf("selector %q: not a subnet such as 10.1.0.0/16", s)
	}
	t.From, t.To = p.Masked().Addr(), lastOf(p)
	return t, nil
}

// icmpPort returns the type and code of ICMP as a port (RFC 7296 section 3.13.1):
// a number below 256 is a type of any code.
func icmpPort(n uint16) uint16 {
	if n < 256 {
		return n << 8
	}
	return n
}

func parsePorts(proto uint8, port string) (from, to uint16, err error) {
	switch port {
	case "", "any":
		return 0, 65535, nil
	case "opaque":
		return 65535, 0, nil
	}
	lo, hi, isRange := strings.Cut(port, "-")
	n, err := strconv.ParseUint(lo, 0, 16)
	if err != nil {
		network := "tcp"
		if proto == 17 {
			network = "udp"
		}
		p, err := net.LookupPort(network, port)
		if err != nil {
			return 0, 0, fmt.Errorf("port %q is not known", port)
		}
		return uint16(p), uint16(p), nil
	}
	if !isRange {
		return uint16(n), uint16(n), nil
	}
	m, err := strconv.ParseUint(hi, 0, 16)
	if err != nil || m < n {
		return 0, 0, fmt.Errorf("%q is not a range of ports", port)
	}
	return uint16(n), uint16(m), nil
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// String writes the selector as strongSwan's log does: "10.1.0.0/16[tcp/443]".
func (t TrafficSelector) String() string {
	var b strings.Builder
	switch p, ok := t.Prefix(); {
	case t.Dynamic:
		b.WriteString("dynamic")
	case ok:
		b.WriteString(p.String())
	default:
		fmt.Fprintf(&b, "%s..%s", t.From, t.To)
	}
	anyPort := t.FromPort == 0 && t.ToPort == 65535
	if t.Protocol == 0 && anyPort {
		return b.String()
	}
	b.WriteByte('[')
	opaque := t.FromPort == 65535 && t.ToPort == 0
	name, named := protocolNames[t.Protocol]
	switch {
	case named:
		b.WriteString(name)
	default:
		fmt.Fprint(&b, t.Protocol)
	}
	switch {
	case anyPort:
	case opaque:
		b.WriteString("/OPAQUE")
	case t.FromPort == t.ToPort:
		b.WriteString("/" + t.port(t.FromPort))
	default:
		b.WriteString("/" + t.port(t.FromPort) + "-" + t.port(t.ToPort))
	}
	b.WriteByte(']')
	return b.String()
}

// port writes a port; of ICMP it holds the type, and the code if any.
func (t TrafficSelector) port(n uint16) string {
	switch {
	case t.Protocol != 1 && t.Protocol != 58:
		return strconv.Itoa(int(n))
	case n&0xff != 0:
		return fmt.Sprintf("%d(%d)", n>>8, n&0xff)
	}
	return strconv.Itoa(int(n >> 8))
}

// Prefix returns the subnet that the selector is exactly, if it is one.
func (t TrafficSelector) Prefix() (netip.Prefix, bool) {
	if t.Dynamic || !t.From.IsValid() {
		return netip.Prefix{}, false
	}
	for bits := 0; bits <= t.From.BitLen(); bits++ {
		if p := netip.PrefixFrom(t.From, bits); p.Masked().Addr() == t.From && lastOf(p) == t.To {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
