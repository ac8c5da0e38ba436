package dataplane

import (
	"log/slog"

	"github.com/gotnc/gotnc/ike"
)

// Config is what a Plane is made with. Each implementation reads what concerns
// it.
type Config struct {
	Logger *slog.Logger // nil discards

	// Kind is the plane that Open makes; "" = Auto, the first that works.
	Kind Kind
	// Name of the connection. What an earlier run of the same name left in the
	// kernel is removed (xfrm).
	Name string

	// Acquire, where set, is called for packets that no CHILD_SA carries yet, with
	// selectors of the packet, which may be zero where it is not known. It reports whether one is being made: a few packets then wait for it (tun). It
	// has to return quickly, and may be called again meanwhile.
	Acquire func(packet ike.Trigger) bool

	// Child configures every CHILD_SA but those whose names are in Children.
	Child    ChildConfig
	Children map[string]ChildConfig

	// Device is the name of the TUN device; "" = ipsec0, ipsec1, …; a "%d" in it
	// is replaced by the first free number (tun).
	Device string
	// MTU of the device in octets; 0 = as large as fits OuterMTU, at most
	// DefaultMaxMTU (tun).
	MTU int
	// OuterMTU is the MTU of the path to the gateway; 0 = DefaultOuterMTU (tun).
	OuterMTU int

	// NoRoutes installs neither routes nor rules (charon.install_routes = no).
	NoRoutes bool
	// NoAddresses installs no virtual IPs (charon.install_virtual_ip = no).
	NoAddresses bool
	// Table and Priority are of the routes and their rule (charon's routing_table
	// and routing_table_prio); 0 = DefaultTable and DefaultPriority.
	Table, Priority int
}

// ChildConfig is what is configured for one CHILD_SA and is no matter of IKE.
type ChildConfig struct {
	// ReplayWindow in packets; 0 = the default of the plane: 64 in user space, 32
	// in the kernel.
	ReplayWindow int
	// NoReplayWindow accepts packets more than once (xfrm).
	NoReplayWindow bool
	// IfIDIn and IfIDOut are XFRM interface IDs (xfrm); 0 = none.
	IfIDIn, IfIDOut uint32
	// MarkIn and MarkOut are marks of states and policies (xfrm).
	MarkIn, MarkOut Mark
	// Outer is what the outer IP header takes of the inner one (tun with a ClassSocket,
	// xfrm).
	Outer OuterHeader
}

// OuterHeader is what the outer IP header takes of the inner one, and gives back
// (RFC 4301 section 5.1.2, RFC 6040). The zero value is strongSwan's default.
type OuterHeader struct {
	// NoDF: the don't fragment bit of IPv4 is never set (copy_df = no). Otherwise xfrm
	// copies it; with tun it is the UDP socket's, which sets it (path MTU discovery).
	NoDF  bool
	NoECN bool // ECN is not copied (copy_ecn = no)
	DSCP  DSCPCopy
}

// DSCPCopy is copy_dscp.
type DSCPCopy uint8

// Values of copy_dscp.
const (
	DSCPOut  DSCPCopy = iota // from the inner to the outer header
	DSCPIn                   // from the outer header to the inner one of what is received
	DSCPBoth                 // both
	DSCPNone                 // neither
)

// Mark selects packets by their mark; Mask 0 selects all.
type Mark struct{ Value, Mask uint32 }

// Defaults of Config.
const (
	DefaultTable    = 220
	DefaultPriority = 220
	DefaultOuterMTU = 1500
	DefaultMaxMTU   = 1400
)

// ForChild returns what is configured for the CHILD_SA of that name.
func (c Config) ForChild(name string) ChildConfig {
	if ch, ok := c.Children[name]; ok {
		return ch
	}
	return c.Child
}

// WithDefaults returns c with the defaults of zero values filled in.
func (c Config) WithDefaults() Config {
	if c.Table == 0 {
		c.Table = DefaultTable
	}
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.OuterMTU == 0 {
		c.OuterMTU = DefaultOuterMTU
	}
	return c
}
