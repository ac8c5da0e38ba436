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

	"github.com/gotnc/gotnc/internal/config"
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
	VIPs          []netip.Addr
	Encap         bool
	MOBIKE        bool
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

// RemoteHost is the peer of an initiator: the first remote address that is an
// address or a name.
func (c *Connection) RemoteHost() (string, bool) { return firstHost(c.RemoteAddrs) }

// LocalHost is the first local address that is a host; false = any.
func (c *Connection) LocalHost() (string, bool) { return firstHost(c.LocalAddrs) }

func firstHost(addrs []string) (string, bool) {
	for _, a := range addrs {
		if !strings.HasPrefix(a, "%any") && !strings.Contains(a, "/") && !isRange(a) {
			return a, true
		}
	}
	return "", false
}

// isRange tells 10.0.0.1-10.0.0.9 from a host name with a dash.
func isRange(a string) bool {
	from, _, ok := strings.Cut(a, "-")
	_, err := netip.ParseAddr(from)
	return ok && err == nil
}

// Auth is how one end authenticates in a round.
type Auth struct {
	Class  string // "pubkey", "psk", "eap"
	Method string // of EAP: "ttls", "md5", "" = what the gateway starts with
	// Constraints are the whole of a pubkey entry that says more
	// ("rsa-2048-sha256"); of EAP what follows the colon ("eap-ttls:rsa-2048").
	Constraints string
}

// String writes the auth as swanctl.conf does.
func (a Auth) String() string {
	if a.Class == "eap" {
		s := "eap"
		if a.Method != "" {
			s += "-" + a.Method
		}
		if a.Constraints != "" {
			s += ":" + a.Constraints
		}
		return s
	}
	if a.Constraints != "" {
		return a.Constraints
	}
	return a.Class
}

// Round is a local<suffix> or remote<suffix> section.
type Round struct {
	Name    string // of the section
	Pos     config.Pos
	Round   int
	Auth    Auth
	ID      string   // "" = not set (remote: %any)
	EAPID   string   // "" = not set: ID
	AAAID   string   // local only: what the EAP server shows; "" = the gateway's ID
	Groups  []string // which no gateway shows
	Certs   []string // files
	CACerts []string // files; remote only: the chain has to lead over one of them
	PubKeys []string // files with raw public keys
	// Revocation is "relaxed", "ifuri" or "strict"; remote only.
	Revocation string
	// CAID is an identity that a CA of the chain has to hold; remote only.
	CAID string
	// CertPolicy are OIDs of certificate policies that the certificate has to
	// have; remote only.
	CertPolicy []string
}

// EAPIdentity is the identity for the EAP method: eap_id, else id; "" where
// none is set, or any (%any) will do.
func (r *Round) EAPIdentity() string {
	id := r.EAPID
	if id == "" {
		id = r.ID
	}
	if id == "%any" {
		return ""
	}
	return id
}

// Child is children.<name>.
type Child struct {
	Name string
	Pos  config.Pos

	LocalTS      []TrafficSelector // never empty: dynamic
	RemoteTS     []TrafficSelector
	ESPProposals []string      // empty = default
	Mode         string        // tunnel
	StartAction  string        // none, trap, start or "trap|start"
	CloseAction  string        // the same
	DPDAction    string        // clear, trap, restart …
	RekeyTime    time.Duration // 1 h; 0 = never
	LifeTime     time.Duration // 0 = RekeyTime + 10 %
	RandTime     time.Duration // rekeying comes up to that much earlier; LifeTime - RekeyTime
	ReplayWindow int           // packets, 32
	Updown       string
	Interface    string
	IfIDIn       uint32 // XFRM interface IDs; 0 = the connection's
	IfIDOut      uint32
	MarkIn       Mark
	MarkOut      Mark
}

// Mark is a packet mark with its mask.
type Mark struct{ Value, Mask uint32 }

var connectionKeys = keys{
	"version": used, "local_addrs": used, "remote_addrs": used, "local_port": used, "remote_port": used,
	"proposals": used, "vips": used, "encap": used, "mobike": used, "dpd_delay": used, "dpd_timeout": used,
	"fragmentation": used, "keyingtries": used, "send_certreq": used, "send_cert": used, "rekey_time": used,
	"reauth_time": used, "childless": used, "ppk_required": used, "ppk_id": used, "mediation": used,
	"aggressive": ignored, "pull": ignored, "dscp": ignored, "ocsp": used, "unique": ignored,
	"over_time": used, "rand_time": used, "pools": ignored, "if_id_in": used, "if_id_out": used,
	"mediated_by": ignored, "mediation_peer": ignored,
}

var localKeys = keys{
	"round": used, "auth": used, "id": used, "eap_id": used, "aaa_id": used, "certs": used,
	"pubkeys": used, "xauth_id": ignored,
}

var remoteKeys = keys{
	"round": used, "auth": used, "id": used, "eap_id": used, "groups": used, "certs": used, "cacerts": used,
	"cert_policy": used, "ca_id": used, "pubkeys": used, "revocation": used, "xauth_id": ignored,
}

var certKeys = keys{"file": used, "handle": ignored, "slot": ignored, "module": ignored}

var childKeys = keys{
	"local_ts": used, "remote_ts": used, "esp_proposals": used, "ah_proposals": used, "mode": used,
	"start_action": used, "close_action": used, "dpd_action": used, "rekey_time": used, "life_time": used,
	"replay_window": used, "updown": used, "interface": used,
	"sha256_96": ignored, "rand_time": used, "rekey_bytes": ignored, "life_bytes": ignored, "rand_bytes": ignored,
	"rekey_packets": ignored, "life_packets": ignored, "rand_packets": ignored, "hostaccess": ignored,
	"policies": ignored, "policies_fwd_out": ignored, "ipcomp": ignored, "inactivity": ignored, "reqid": ignored,
	"priority": ignored, "mark_in": used, "mark_in_sa": ignored, "mark_out": used, "set_mark_in": ignored,
	"set_mark_out": ignored, "if_id_in": used, "if_id_out": used, "label": ignored, "label_mode": ignored,
	"tfc_padding": ignored, "per_cpu_sas": ignored, "hw_offload": ignored, "copy_df": ignored, "copy_ecn": ignored,
	"copy_dscp": ignored, "icmp": ignored,
}

// reader reads the values of one section and collects what is wrong.
type reader struct {
	n   *config.Node
	bad func(*config.Error)
}

func (r reader) str(key, def string) string {
	if v, ok := r.n.Lookup(key); ok {
		return v.Text
	}
	return def
}

func (r reader) oneOf(key, def string, allowed ...string) string {
	v, ok := r.n.Lookup(key)
	if !ok {
		return def
	}
	for _, a := range allowed {
		if v.Text == a {
			return a
		}
	}
	r.bad(v.Errorf("%s = %q: not one of %s", key, v.Text, strings.Join(allowed, ", ")))
	return def
}

func (r reader) list(key string) []string {
	if v, ok := r.n.Lookup(key); ok {
		return v.List()
	}
	return nil
}

func typed[T any](r reader, key string, def T, as func(config.Value) (T, error)) T {
	v, ok := r.n.Lookup(key)
	if !ok {
		return def
	}
	t, err := as(v)
	if err != nil {
		var e *config.Error
		if !errors.As(err, &e) {
			e = v.Errorf("%s: %w", key, err)
		}
		r.bad(e)
		return def
	}
	return t
}

func (r reader) boolean(key string, def bool) bool { return typed(r, key, def, config.Value.Bool) }

func (r reader) duration(key string, def time.Duration) time.Duration {
	return typed(r, key, def, config.Value.Duration)
}

func (r reader) integer(key string, def, least, most int64) int64 {
	return typed(r, key, def, func(v config.Value) (int64, error) {
		n, err := v.Int()
		if err == nil && (n < least || n > most) {
			err = v.Errorf("%s = %d: not between %d and %d", key, n, least, most)
		}
		return n, err
	})
}

// refuse makes a setting whose loss would weaken the connection a problem.
func (r reader) refuse(key, why string) {
	if v, ok := r.n.Lookup(key); ok {
		r.bad(v.Errorf("%s is not supported: %s", key, why))
	}
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
	c.RemotePort = uint16(r.integer("remote_port", 500, 1, math.MaxUint16))
	c.Proposals = proposals(r, "proposals")
	c.VIPs = typed(r, "vips", nil, parseVIPs)
	c.Encap = r.boolean("encap", false)
	c.MOBIKE = r.boolean("mobike", true)
	c.Fragmentation = r.oneOf("fragmentation", "yes", "yes", "accept", "no", "force")
	c.DPDDelay = r.duration("dpd_delay", 0)
	c.DPDTimeout = r.duration("dpd_timeout", 0)
	if r.str("keyingtries", "") == "%forever" {
		c.KeyingTries = 0
	} else {
		c.KeyingTries = int(r.integer("keyingtries", 1, 0, math.MaxInt32))
	}
	c.SendCertReq = r.boolean("send_certreq", true)
	c.SendCert = r.oneOf("send_cert", "ifasked", "always", "never", "ifasked")
	c.RekeyTime = r.duration("rekey_time", 4*time.Hour)
	c.ReauthTime = r.duration("reauth_time", 0)
	if _, ok := n.Lookup("rekey_time"); !ok && c.ReauthTime > 0 {
		c.RekeyTime = 0 // as strongSwan: one of the two
	}
	c.OverTime = r.duration("over_time", max(c.RekeyTime, c.ReauthTime)/10)
	c.RandTime = r.duration("rand_time", c.OverTime)
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
	m.unknown(n, connectionKeys, nil, []string{"children"}, []string{"local", "remote"})

	for _, s := range n.Sections() {
		switch {
		case s == "children":
			kids := n.Sub(s)
			for _, name := range kids.Sections() {
				c.Children = append(c.Children, m.child(kids.Sub(name), r.bad))
			}
			for _, v := range kids.Values() {
				m.cfg.Warn(v.Errorf("setting %q is not known in %s", v.Key, kids.Path()))
			}
		case strings.HasPrefix(s, "local"):
			c.Local = append(c.Local, m.round(n.Sub(s), true, r.bad))
		case strings.HasPrefix(s, "remote"):
			c.Remote = append(c.Remote, m.round(n.Sub(s), false, r.bad))
		}
	}
	byRound := func(rs []*Round) {
		sort.SliceStable(rs, func(i, j int) bool { return rs[i].Round < rs[j].Round })
	}
	byRound(c.Local)
	byRound(c.Remote)
	return c
}

func proposals(r reader, key string) []string {
	ps := r.list(key)
	if len(ps) == 1 && ps[0] == "default" {
		return nil
	}
	return ps
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

func (m *Config) round(n *config.Node, local bool, bad func(*config.Error)) *Round {
	r := reader{n, bad}
	rd := &Round{Name: n.Name(), Pos: n.Pos()}
	rd.Round = int(r.integer("round", 0, 0, math.MaxInt32))
	rd.Auth = typed(r, "auth", Auth{Class: "pubkey"}, parseAuth)
	rd.ID = r.str("id", "")
	rd.EAPID = r.str("eap_id", "")
	k, prefixes := localKeys, []string{"cert"}
	if local {
		rd.AAAID = r.str("aaa_id", "")
	} else {
		k, prefixes = remoteKeys, []string{"cert", "cacert"}
		rd.Groups = r.list("groups")
		rd.CertPolicy = r.list("cert_policy")
		rd.CAID = r.str("ca_id", "")
		rd.Revocation = r.oneOf("revocation", "relaxed", "relaxed", "ifuri", "strict")
	}
	for _, f := range r.list("pubkeys") {
		rd.PubKeys = append(rd.PubKeys, m.path("pubkey", f))
	}
	for _, f := range r.list("certs") {
		rd.Certs = append(rd.Certs, m.path("x509", f))
	}
	if !local {
		for _, f := range r.list("cacerts") {
			rd.CACerts = append(rd.CACerts, m.path("x509ca", f))
		}
	}
	for _, s := range n.Sections() {
		sub := n.Sub(s)
		isCA := !local && strings.HasPrefix(s, "cacert")
		if !isCA && !strings.HasPrefix(s, "cert") {
			continue
		}
		m.unknown(sub, certKeys, nil, nil, nil)
		v, ok := sub.Lookup("file")
		switch {
		case !ok:
			bad(sub.Pos().Errorf("%s names no file; certificates on tokens are not supported", sub.Path()))
		case isCA:
			rd.CACerts = append(rd.CACerts, m.path("x509ca", v.Text))
		default:
			rd.Certs = append(rd.Certs, m.path("x509", v.Text))
		}
	}
	m.unknown(n, k, nil, nil, prefixes)
	return rd
}

func parseAuth(v config.Value) (Auth, error) {
	text := v.Text
	class, rest, _ := strings.Cut(text, "-")
	class, _, _ = strings.Cut(class, "/")
	class, _, _ = strings.Cut(class, ":")
	switch class {
	case "eap":
		method, constraints, _ := strings.Cut(rest, ":")
		return Auth{Class: "eap", Method: method, Constraints: constraints}, nil
	case "psk":
		if text != "psk" {
			return Auth{}, v.Errorf("auth = %q: psk takes no addition", text)
		}
		return Auth{Class: "psk"}, nil
	case "pubkey", "rsa", "ecdsa", "ed25519", "ed448", "ike":
		a := Auth{Class: "pubkey"}
		if text != "pubkey" {
			a.Constraints = text
		}
		return a, nil
	case "xauth":
		return Auth{}, v.Errorf("auth = %q: XAuth belongs to IKEv1, which is not supported", text)
	}
	return Auth{}, v.Errorf("auth = %q: not one of eap-ttls, eap-<method>, psk, pubkey, rsa, ecdsa, ed25519", text)
}

func (m *Config) child(n *config.Node, bad func(*config.Error)) *Child {
	r := reader{n, bad}
	c := &Child{Name: n.Name(), Pos: n.Pos()}
	c.LocalTS = typed(r, "local_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.RemoteTS = typed(r, "remote_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.ESPProposals = proposals(r, "esp_proposals")
	r.refuse("ah_proposals", "use esp_proposals")
	c.Mode = r.oneOf("mode", "tunnel", "tunnel", "transport", "transport_proxy", "iptfs", "beet", "pass", "drop")
	if c.Mode != "tunnel" {
		v, _ := n.Lookup("mode")
		bad(v.Errorf("mode = %s is not supported, use tunnel", c.Mode))
	}
	c.StartAction = typed(r, "start_action", "none", parseAction)
	c.CloseAction = typed(r, "close_action", "none", parseAction)
	c.DPDAction = typed(r, "dpd_action", "clear", parseAction)
	c.LifeTime = r.duration("life_time", 0)
	rekey := time.Hour
	if c.LifeTime > 0 {
		rekey = c.LifeTime - c.LifeTime/10
	}
	c.RekeyTime = r.duration("rekey_time", rekey)
	if c.LifeTime == 0 {
		c.LifeTime = c.RekeyTime + c.RekeyTime/10
	}
	c.RandTime = r.duration("rand_time", max(c.LifeTime-c.RekeyTime, 0))
	c.IfIDIn, c.IfIDOut = uint32(r.integer("if_id_in", 0, 0, math.MaxUint32)), uint32(r.integer("if_id_out", 0, 0, math.MaxUint32))
	c.MarkIn, c.MarkOut = typed(r, "mark_in", Mark{}, parseMark), typed(r, "mark_out", Mark{}, parseMark)
	c.ReplayWindow = int(r.integer("replay_window", 32, 0, 1<<16))
	c.Updown = r.str("updown", "")
	c.Interface = r.str("interface", "")
	m.unknown(n, childKeys, nil, nil, nil)
	return c
}

// parseAction reads the names of actions, old ones too.
func parseAction(v config.Value) (string, error) {
	switch v.Text {
	case "none", "clear", "trap", "start", "trap|start", "start|trap", "restart":
		return v.Text, nil
	case "hold", "route":
		return "trap", nil
	}
	return "", v.Errorf("%s = %q: not one of none, trap, start", v.Key, v.Text)
}

// String names the connection for an error or a log line.
func (c *Connection) String() string { return fmt.Sprintf("connection %q (%s)", c.Name, c.Pos) }

// parseMark reads value[/mask].
func parseMark(v config.Value) (Mark, error) {
	value, mask, has := strings.Cut(v.Text, "/")
	m := Mark{Mask: math.MaxUint32}
	n, err := strconv.ParseUint(value, 0, 32)
	if err == nil && has {
		var k uint64
		k, err = strconv.ParseUint(mask, 0, 32)
		m.Mask = uint32(k)
	}
	if err != nil {
		return Mark{}, v.Errorf("%s = %q: not a mark as 42 or 0x2a/0xff", v.Key, v.Text)
	}
	m.Value = uint32(n)
	return m, nil
}
