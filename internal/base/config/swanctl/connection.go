package swanctl

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Connection is connections.<name>.
type Connection struct {
	Name string
	Pos  config.Pos

	Version       int      // 0 (IKEv2 for an initiator) or 2
	LocalAddrs    []string // addresses, names, subnets, ranges; empty = %any
	RemoteAddrs   []string // the same
	LocalPort     uint16   // 500
	RemotePort    uint16   // 500
	Proposals     []string // empty = default
	ProposalsPos  config.Pos
	VIPs          []netip.Addr
	Encap         bool
	MOBIKE        bool
	DSCP          uint8  // of IKE packets, 0 to 63
	Fragmentation string // yes, accept, no or force
	DPDDelay      time.Duration
	DPDTimeout    time.Duration
	KeyingTries   int  // 0 = for ever
	SendCertReq   bool // yes
	SendCert      string
	RekeyTime     time.Duration // 4 h; 0 = never
	ReauthTime    time.Duration // 0 = never
	OverTime      time.Duration // after RekeyTime the IKE_SA ends; 10 % of the longer of the two
	RandTime      time.Duration // rekeying comes up to that much earlier; OverTime
	Childless     string
	PPKID         string // of secrets.ppk*; "" = none is used
	PPKRequired   bool
	// OCSP: "never", "request", "reply" or "both".
	OCSP string
	// IfIDIn and IfIDOut are the XFRM interface IDs of children without their
	// own; 0 = none.
	IfIDIn, IfIDOut uint32

	Local, Remote []*Round // in the order of authentication
	Children      []*Child

	// Passive says why this machine does not begin the connection although
	// nothing is wrong with it: a template, a rule for packets, a gateway's side.
	// "" for the others.
	Passive string

	// Swapped: of ipsec.conf, whose right is this machine.
	Swapped bool

	// Problems are what makes the connection unusable.
	Problems []*config.Error
}

// Err joins the problems, nil where there are none.
func (c *Connection) Err() error {
	var all []error
	for _, p := range c.Problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}

// Child returns the child of that name, for "" the only one; nil where there
// is none.
func (c *Connection) Child(name string) *Child {
	if name == "" && len(c.Children) == 1 {
		return c.Children[0]
	}
	for _, ch := range c.Children {
		if ch.Name == name {
			return ch
		}
	}
	return nil
}

// RemoteHosts are what an initiator connects to: the remote addresses and names
// that are of one host, in order; others are for responders.
func (c *Connection) RemoteHosts() []string { return hosts(c.RemoteAddrs) }

// LocalHosts are the local addresses and names of one host; none = any.
func (c *Connection) LocalHosts() []string { return hosts(c.LocalAddrs) }

// RemoteHost is the first of RemoteHosts; false = there is none.
func (c *Connection) RemoteHost() (string, bool) { return first(c.RemoteHosts()) }

// LocalHost is the first of LocalHosts; false = any.
func (c *Connection) LocalHost() (string, bool) { return first(c.LocalHosts()) }

func first(hosts []string) (string, bool) {
	if len(hosts) == 0 {
		return "", false
	}
	return hosts[0], true
}

func hosts(addrs []string) (hosts []string) {
	for _, a := range addrs {
		if ip, err := netip.ParseAddr(a); err == nil && ip.IsUnspecified() {
			continue // %any
		}
		if !strings.HasPrefix(a, "%any") && !strings.Contains(a, "/") && !isRange(a) {
			hosts = append(hosts, a)
		}
	}
	return hosts
}

// isRange tells 10.0.0.1-10.0.0.9 from a host name with a dash.
func isRange(a string) bool {
	from, _, ok := strings.Cut(a, "-")
	_, err := netip.ParseAddr(from)
	return ok && err == nil
}

var connectionKeys = keys{
	"version": used, "local_addrs": used, "remote_addrs": used, "local_port": used, "remote_port": used,
	"proposals": used, "vips": used, "encap": used, "mobike": used, "dpd_delay": used, "dpd_timeout": used,
	"fragmentation": used, "keyingtries": used, "send_certreq": used, "send_cert": used, "rekey_time": used,
	"reauth_time": used, "childless": used, "ppk_required": used, "ppk_id": used, "mediation": used,
	"ocsp": used, "over_time": used, "rand_time": used, "if_id_in": used, "if_id_out": used,

	"aggressive": without("it belongs to IKEv1", no...).as(valid(config.Value.Bool)), "pull": without("it belongs to IKEv1", yes...).as(valid(config.Value.Bool)),
	"dscp": used, "unique": without("one connection has one IKE_SA", "no", "replace", "keep", "never"),
	"pools": without("it is for gateways"), "mediated_by": without("mediation is not supported"), "mediation_peer": without("mediation is not supported"),
}

func (m *Config) connection(n *config.Node) *Connection {
	c := &Connection{Name: n.Name(), Pos: n.Pos()}
	r := reader{n, func(e *config.Error) { c.Problems = append(c.Problems, e) }}
	c.Version = int(r.integer("version", 0, 0, 2))
	if c.Version == 1 {
		v, _ := n.Lookup("version")
		r.bad(v.Errorf("version = 1: IKEv1 is not supported, use 2"))
	}
	c.LocalAddrs, c.RemoteAddrs = r.list("local_addrs"), r.list("remote_addrs")
	c.LocalPort = uint16(r.integer("local_port", 500, 0, math.MaxUint16))
	if c.LocalPort == 0 {
		c.LocalPort = 500 // charon.port, as where it is not set
	}
	c.RemotePort = uint16(r.integer("remote_port", 500, 1, math.MaxUint16))
	c.Proposals, c.ProposalsPos = proposals(r, "proposals")
	c.VIPs = typed(r, "vips", nil, parseVIPs)
	c.Encap = r.boolean("encap", false)
	c.MOBIKE = r.boolean("mobike", true)
	c.Fragmentation = r.oneOf("fragmentation", "yes", "yes", "accept", "no", "force")
	c.DPDDelay = r.duration("dpd_delay", 0)
	c.DPDTimeout = r.duration("dpd_timeout", 0)
	c.KeyingTries = int(r.integer("keyingtries", 1, 0, math.MaxInt32))
	c.SendCertReq = r.boolean("send_certreq", true)
	c.SendCert = r.oneOf("send_cert", "ifasked", "always", "never", "ifasked")
	c.RekeyTime = r.duration("rekey_time", 4*time.Hour)
	c.ReauthTime = r.duration("reauth_time", 0)
	_, rekey := n.Lookup("rekey_time")
	if _, reauth := n.Lookup("reauth_time"); reauth && !rekey { // also where it is 0
		c.RekeyTime = 0 // as strongSwan: one of the two
	}
	c.OverTime = r.duration("over_time", max(c.RekeyTime, c.ReauthTime)/10)
	whole := max(c.RekeyTime, c.ReauthTime)
	if c.RekeyTime > 0 && c.ReauthTime > 0 {
		whole = min(c.RekeyTime, c.ReauthTime)
	}
	c.RandTime = boundRandom(r.duration("rand_time", min(c.OverTime, whole/2)), whole)
	r.oneOf("unique", "no", "no", "never", "replace", "keep")
	c.DSCP = typed(r, "dscp", 0, parseDSCP)
	c.IfIDIn, c.IfIDOut = uint32(r.integer("if_id_in", 0, 0, math.MaxUint32)), uint32(r.integer("if_id_out", 0, 0, math.MaxUint32))
	c.Childless = r.oneOf("childless", "allow", "allow", "prefer", "force", "never")
	c.PPKID, c.PPKRequired = r.str("ppk_id", ""), r.boolean("ppk_required", false)
	if c.PPKRequired && c.PPKID == "" {
		v, _ := n.Lookup("ppk_required")
		r.bad(v.Errorf("ppk_required = yes, but there is no ppk_id: set it to that of a section ppk in secrets"))
	}
	c.OCSP = r.oneOf("ocsp", "reply", "never", "request", "reply", "both")
	if r.boolean("mediation", false) {
		r.refuse("mediation", "mediation is no part of this client")
	}
	m.unknown(n, connectionKeys, nil, []string{"children"}, []string{"local", "remote"}, r.bad)

	for _, s := range n.Sections() {
		switch {
		case strings.EqualFold(s, "children"):
			kids := n.Sub(s)
			for _, name := range kids.Sections() {
				c.Children = append(c.Children, m.child(kids.Sub(name), r.bad))
			}
			for _, v := range kids.Values() {
				r.bad(v.Errorf("setting %q is not known in %s", v.Key, kids.Path()))
			}
		case hasPrefixFold(s, []string{"local"}):
			c.Local = append(c.Local, m.round(n.Sub(s), true, r.bad))
		case hasPrefixFold(s, []string{"remote"}):
			c.Remote = append(c.Remote, m.round(n.Sub(s), false, r.bad))
		}
	}
	byRound := func(rs []*Round) {
		sort.SliceStable(rs, func(i, j int) bool { return rs[i].Round < rs[j].Round })
	}
	byRound(c.Local)
	byRound(c.Remote)
	c.passive()
	return c
}

// passive says why a connection that is right is not begun by this machine. One
// with a Problem may lack its address for a typing error.
func (c *Connection) passive() {
	shunts := 0
	for _, ch := range c.Children {
		if ch.Mode == "pass" || ch.Mode == "drop" {
			shunts++
		}
	}
	for _, ch := range c.Children {
		if shunts < len(c.Children) && (ch.Mode == "pass" || ch.Mode == "drop") {
			c.Problems = append(c.Problems, ch.Pos.Errorf("child %q: mode = %s is not supported beside tunnels: use tunnel", ch.Name, ch.Mode))
		}
	}
	switch _, ok := c.RemoteHost(); {
	case len(c.Problems) > 0:
	case shunts > 0 && shunts == len(c.Children):
		c.Passive = "its children are rules for packets without a tunnel, which are not supported"
	case !ok:
		c.Passive = "it has no remote_addrs: set it to the gateway's name or address"
	}
}

func parseVIPs(v config.Value) ([]netip.Addr, error) {
	var as []netip.Addr
	for _, s := range v.List() {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, v.Errorf("vips: %q is no IP address; 0.0.0.0 or :: ask for any", s)
		}
		as = append(as, a.Unmap())
	}
	return as, nil
}

// parseDSCP reads up to six binary digits.
func parseDSCP(v config.Value) (uint8, error) {
	n, err := strconv.ParseUint(v.Text, 2, 6)
	if err != nil {
		return 0, v.Errorf("dscp = %s: not six binary digits such as 101110", config.QuoteText(v.Text))
	}
	return uint8(n), nil
}

// String names the connection for an error or a log line.
func (c *Connection) String() string { return fmt.Sprintf("connection %q (%s)", c.Name, c.Pos) }
