package esp

import (
	"fmt"
	"log/slog"
	"net/netip"
)

// Plane carries the traffic of a CHILD_SA between the host and the gateway.
type Plane interface {
	// Kind is what it is.
	Kind() Kind
	// Device is the name of its network device, "" where it has none.
	Device() string
	// Receive takes ESP packets that came from the gateway, without the UDP
	// header, in order; what cannot be used is counted and dropped. The packets
	// are changed, and not kept. Safe for concurrent use.
	Receive(pkts ...[]byte)
	// Install adds the ESP SAs of a rekeyed or further CHILD_SA, and routes to
	// what lies behind it: of those that fit a packet the newest one sends that
	// does not stand by. The SAs before it receive until they are removed.
	Install(Child) error
	// Activate lets the SA with that inbound SPI send that stands by.
	Activate(spiIn uint32)
	// Moved tells that the outer path changed; encap: ESP travels in UDP.
	Moved(local, gateway netip.AddrPort, encap bool) error
	// Remove drops the ESP SAs with that inbound SPI, zeroes their keys, and
	// reports whether there were any.
	Remove(spiIn uint32) bool
	// Stats sums up all SAs so far.
	Stats() Stats
	// Done is closed when the plane has ended: by Close, or because its device
	// is gone, which Err then tells.
	Done() <-chan struct{}
	Err() error
	// Close removes addresses, routes, rules and the device, and zeroes the
	// keys. It returns what could not be removed.
	Close() error
}

// Config is what a Plane is made with.
type Config struct {
	Logger *slog.Logger // nil discards

	Child Child
	// Send sends ESP packets to the gateway in order, in UDP where
	// encapsulation was agreed on. It must not keep them. Required.
	Send func(pkts ...[]byte) error
	// Authenticated, where set, hears of every packet that authenticated: a
	// sign of life. It has to be quick.
	Authenticated func()

	// Acquire, where set, hears of packets that no SA can send yet, and reports
	// whether one is being made: a few of them then wait for it. It has to be
	// quick, and may be called again meanwhile.
	Acquire func() bool
	// TrapLocal and TrapRemote are the selectors of a plane that is opened
	// without ciphers in Child, as a trap: its routes bring the packets that
	// Acquire hears of.
	TrapLocal, TrapRemote []Selector

	// Device is the name of the TUN device; "" = ipsec0, ipsec1, …; a "%d" in
	// it is replaced by the first free number.
	Device string
	// MTU of the device in octets; 0 = as large as fits OuterMTU, at most 1400.
	MTU int
	// OuterMTU is the MTU of the path to the gateway; 0 = 1500.
	OuterMTU int
	// Addresses are the virtual IPs; they become addresses of the device.
	Addresses []netip.Addr
	// Local and Gateway are the ends of the UDP encapsulation. Packets to the
	// Gateway's address and port never enter the tunnel.
	Local, Gateway netip.AddrPort
	// Encap: ESP travels in UDP between Local and Gateway (XFRM only; in user
	// space Send knows).
	Encap bool
	// IfID, MarkIn, MarkOut are the XFRM interface ID and marks of states and
	// policies (if_id_in, mark_in, …); zero = none.
	IfIDIn, IfIDOut uint32
	MarkIn, MarkOut Mark
	// NoRoutes leaves routes and rules away (charon.install_routes = no).
	NoRoutes bool
	// NoAddresses leaves the virtual IPs away (charon.install_virtual_ip = no).
	NoAddresses bool
	// Table and Priority of the routes and their rule; 0 = 220 (charon's
	// routing_table and routing_table_prio).
	Table, Priority int
}

// Mark is a mark with its mask, which selects packets.
type Mark struct{ Value, Mask uint32 }

// Defaults of Config.
const (
	DefaultTable    = 220
	DefaultPriority = 220
	DefaultOuterMTU = 1500
	DefaultMaxMTU   = 1400
	minMTU          = 1280 // of a link that carries IPv6, RFC 8200 §5
	maxMTU          = 65535
)

// Kind names a data plane.
type Kind string

// Data planes.
const (
	Auto Kind = "auto" // the best one that works
	XFRM Kind = "xfrm" // the kernel's ESP
	TUN  Kind = "tun"  // ESP in this program, over a TUN device
	None Kind = "none" // no traffic is carried
)

// ParseKind reads the name of a data plane; "" is Auto.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case "":
		return Auto, nil
	case Auto, XFRM, TUN, None:
		return k, nil
	}
	return "", fmt.Errorf("data plane %q is not known; use auto, xfrm, tun or none", s)
}
