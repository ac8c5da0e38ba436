package profile

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// Shown is what was understood of a connection, with defaults filled in. Times
// are in seconds, 0 = never. Identities and certificates' subjects are written
// as strongSwan writes them.
type Shown struct {
	Name    string `json:"name"`
	At      string `json:"at"` // file:line
	Passive string `json:"passive,omitempty"`
	// Problems keep the connection from working.
	Problems []string `json:"problems,omitempty"`

	Version       int          `json:"version"` // 0 = IKEv2 is initiated
	LocalAddrs    []string     `json:"local_addrs"`
	RemoteAddrs   []string     `json:"remote_addrs"`
	LocalPort     uint16       `json:"local_port"`
	RemotePort    uint16       `json:"remote_port"`
	Proposals     []string     `json:"proposals"`
	VirtualIPs    []string     `json:"vips,omitempty"`
	MOBIKE        bool         `json:"mobike"`
	Encap         bool         `json:"encap"`
	Fragmentation string       `json:"fragmentation"`
	Childless     string       `json:"childless"`
	KeyingTries   int          `json:"keyingtries"` // 0 = for ever
	SendCert      string       `json:"send_cert"`
	SendCertReq   bool         `json:"send_certreq"`
	OCSP          string       `json:"ocsp"`
	DPDDelay      int64        `json:"dpd_delay"`
	RekeyTime     int64        `json:"rekey_time"`
	ReauthTime    int64        `json:"reauth_time"`
	OverTime      int64        `json:"over_time"`
	RandTime      int64        `json:"rand_time"`
	PPKID         string       `json:"ppk_id,omitempty"`
	PPKRequired   bool         `json:"ppk_required,omitempty"`
	IfIDIn        uint32       `json:"if_id_in,omitempty"`
	IfIDOut       uint32       `json:"if_id_out,omitempty"`
	Local         []ShownRound `json:"local"`
	Remote        []ShownRound `json:"remote"`
	Children      []ShownChild `json:"children"`
}

// ShownRound is how one end authenticates in a round.
type ShownRound struct {
	Name        string   `json:"name"`
	Class       string   `json:"class"`
	Method      string   `json:"method,omitempty"`
	Constraints string   `json:"constraints,omitempty"`
	ID          string   `json:"id,omitempty"` // "": this end's address; any gateway
	Loose       bool     `json:"loose,omitempty"`
	EAPID       string   `json:"eap_id,omitempty"`
	AAAID       string   `json:"aaa_id,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	Certs       []string `json:"certs,omitempty"`
	CACerts     []string `json:"cacerts,omitempty"`
	CAID        string   `json:"ca_id,omitempty"`
	PubKeys     []string `json:"pubkeys,omitempty"` // files
	Revocation  string   `json:"revocation,omitempty"`
	CertPolicy  []string `json:"cert_policy,omitempty"`
}

// ShownChild is a CHILD_SA.
type ShownChild struct {
	Name         string   `json:"name"`
	Mode         string   `json:"mode"`
	Proposals    []string `json:"proposals"`
	LocalTS      []string `json:"local_ts"`
	RemoteTS     []string `json:"remote_ts"`
	RekeyTime    int64    `json:"rekey_time"`
	LifeTime     int64    `json:"life_time"`
	RandTime     int64    `json:"rand_time"`
	StartAction  string   `json:"start_action"`
	CloseAction  string   `json:"close_action"`
	DPDAction    string   `json:"dpd_action"`
	ReplayWindow int      `json:"replay_window"`
	Updown       string   `json:"updown,omitempty"`
	Interface    string   `json:"interface,omitempty"`
	IfIDIn       uint32   `json:"if_id_in,omitempty"`
	IfIDOut      uint32   `json:"if_id_out,omitempty"`
	MarkIn       string   `json:"mark_in,omitempty"`
	MarkOut      string   `json:"mark_out,omitempty"`
}

// Show reads all files and returns what was understood of the connection of that
// name, or that has a child of that name; of all where name is "".
func (f Files) Show(name string) ([]Shown, error) {
	sc, err := f.strongswan()
	if err != nil {
		return nil, err
	}
	m, err := f.Connections()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	c := &checker{now: time.Now()}
	c.files, c.Strongswan, c.Charon, c.Swanctl = f, sc, settings.ReadCharon(sc), m
	out := []Shown{}
	for _, conn := range m.Connections {
		if name == "" || conn.Name == name || conn.Child(name) != nil {
			out = append(out, c.shown(conn))
		}
	}
	if name != "" && len(out) == 0 {
		return nil, fmt.Errorf("%s: no connection %q; there are: %s", m.File, name, strings.Join(m.Names(), ", "))
	}
	return out, nil
}

func (c *checker) shown(conn *swanctl.Connection) Shown {
	s := Shown{
		Name: conn.Name, At: conn.Pos.String(), Passive: conn.Passive,
		Version: conn.Version, LocalAddrs: list(conn.LocalAddrs), RemoteAddrs: list(conn.RemoteAddrs),
		LocalPort: conn.LocalPort, RemotePort: conn.RemotePort,
		Proposals: proposalNames(message.ProtocolIKE, conn.Proposals),
		MOBIKE:    conn.MOBIKE, Encap: conn.Encap, Fragmentation: conn.Fragmentation, Childless: conn.Childless,
		KeyingTries: conn.KeyingTries, SendCert: conn.SendCert, SendCertReq: conn.SendCertReq, OCSP: conn.OCSP,
		DPDDelay: inSeconds(conn.DPDDelay), RekeyTime: inSeconds(conn.RekeyTime), ReauthTime: inSeconds(conn.ReauthTime),
		OverTime: inSeconds(conn.OverTime), RandTime: inSeconds(conn.RandTime),
		PPKID: conn.PPKID, PPKRequired: conn.PPKRequired, IfIDIn: conn.IfIDIn, IfIDOut: conn.IfIDOut,
		Local: []ShownRound{}, Remote: []ShownRound{}, Children: []ShownChild{},
	}
	for _, a := range conn.VIPs {
		s.VirtualIPs = append(s.VirtualIPs, a.String())
	}
	before := len(c.findings)
	if conn.Passive == "" {
		c.connection(conn)
	}
	for _, f := range c.findings[before:] {
		if f.Kind == Error {
			s.Problems = append(s.Problems, f.Text)
		}
	}
	p := c.Profile
	p.Connection, p.Roots = conn, &swanctl.Roots{}
	if roots, err := c.Swanctl.Roots(conn); err == nil {
		p.Roots = roots
	}
	b := NewBuilder(&p, nil, nil)
	defer b.Close()
	for _, r := range conn.Local {
		s.Local = append(s.Local, b.shownRound(r, true))
	}
	for _, r := range conn.Remote {
		s.Remote = append(s.Remote, b.shownRound(r, false))
	}
	for _, ch := range conn.Children {
		s.Children = append(s.Children, shownChild(ch))
	}
	return s
}

// shownRound describes a round. What cannot be read is left out: it is among the
// problems.
func (b *Builder) shownRound(r *swanctl.Round, local bool) ShownRound {
	s := ShownRound{
		Name: r.Name, Class: r.Auth.Class, Method: r.Auth.Method, Constraints: r.Auth.Constraints,
		EAPID: identityText(r.EAPID), AAAID: identityText(r.AAAID), Groups: r.Groups, PubKeys: r.PubKeys, CertPolicy: r.CertPolicy,
		Certs: b.subjects(r.Certs), CACerts: b.subjects(r.CACerts),
	}
	var id ike.Identity
	var err error
	if local {
		id, err = b.localIdentity(r, netip.Addr{})
		if _, named, _ := namedIdentity(r); !named && len(r.Certs)+len(r.PubKeys) == 0 {
			return s
		}
	} else {
		id, s.Loose, err = b.remoteIdentity(r)
		s.Revocation = r.Revocation
		if ca, err := ike.ParseIdentity(r.CAID); err == nil && r.CAID != "" && b.knownCA(r, ca) {
			s.CAID = ca.String()
		}
	}
	if err == nil && id.IDType != message.IDAny {
		s.ID = id.String()
	}
	return s
}

func shownChild(ch *swanctl.Child) ShownChild {
	s := ShownChild{
		Name: ch.Name, Mode: ch.Mode, Proposals: proposalNames(message.ProtocolESP, ch.ESPProposals),
		LocalTS: selectorNames(ch.LocalTS), RemoteTS: selectorNames(ch.RemoteTS),
		RekeyTime: inSeconds(ch.RekeyTime), LifeTime: inSeconds(ch.LifeTime), RandTime: inSeconds(ch.RandTime),
		StartAction: ch.StartAction, CloseAction: ch.CloseAction, DPDAction: ch.DPDAction,
		ReplayWindow: ch.ReplayWindow, Updown: ch.Updown, Interface: ch.Interface, IfIDIn: ch.IfIDIn, IfIDOut: ch.IfIDOut,
	}
	mark := func(m swanctl.Mark) string {
		if m == (swanctl.Mark{}) {
			return ""
		}
		return fmt.Sprintf("%#x/%#x", m.Value, m.Mask)
	}
	s.MarkIn, s.MarkOut = mark(ch.MarkIn), mark(ch.MarkOut)
	return s
}

func inSeconds(d time.Duration) int64 { return int64(d / time.Second) }

// list returns l, as an empty list where it is nil: what scripts iterate over.
func list(l []string) []string { return append([]string{}, l...) }

// proposalNames writes proposals as strongSwan's log does; none where they
// cannot be read.
func proposalNames(protocol message.ProtocolID, from []string) []string {
	ps, err := crypto.ParseProposals(protocol, from)
	if err != nil {
		return []string{}
	}
	out := []string{}
	for _, p := range ps {
		out = append(out, crypto.ProposalString(p))
	}
	return out
}

func selectorNames(ts []swanctl.TrafficSelector) (out []string) {
	for _, t := range ts {
		out = append(out, t.String())
	}
	return out
}

// identityText writes an identity canonically, "" for none or for any.
func identityText(text string) string {
	id, err := ike.ParseIdentity(text)
	if text == "" || err != nil || id.IDType == message.IDAny {
		return ""
	}
	return id.String()
}

// subjects returns the subjects of the certificates in files.
func (b *Builder) subjects(files []string) (out []string) {
	for _, f := range files {
		certs, err := b.store().LoadCertificates(f)
		if err != nil {
			continue
		}
		for _, c := range certs[:1] {
			out = append(out, subjectOf(c).String())
		}
	}
	return out
}
