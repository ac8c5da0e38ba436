package profile

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// Kind says how much a Finding matters.
type Kind string

// Kinds of findings.
const (
	OK      Kind = "ok"
	Note    Kind = "note"    // nothing to be done
	Warning Kind = "warning" // has no effect, or will fail later
	Error   Kind = "error"   // keeps a connection from working
)

// Finding is one thing that was looked at.
type Finding struct {
	Kind   Kind
	Text   string
	Remedy string // what to do; "" where Text says it, or nothing is to be done
}

// checker collects findings.
type checker struct {
	Profile
	now      time.Time
	findings []Finding
	bad      int // errors
}

func (c *checker) add(kind Kind, remedy, format string, args ...any) {
	if kind == Error {
		c.bad++
	}
	c.findings = append(c.findings, Finding{kind, c.words(fmt.Sprintf(format, args...)), c.words(remedy)})
}

func (c *checker) fail(err error) { c.add(Error, "", "%v", err) }
func (c *checker) warn(err error) { c.add(Warning, "", "%v", err) }

// Check reads all files and returns what is wrong in them and what is right,
// certificates that are out of date at now last.
func (f Files) Check(now time.Time) []Finding {
	c := &checker{now: now}
	c.files = f
	c.settings()
	m, err := f.Connections()
	if err != nil {
		c.fail(err)
	} else {
		defer m.Close()
		c.Swanctl = m
		c.connections()
	}
	c.imcs()
	if err == nil {
		c.certificates()
	}
	c.writable()
	var out []Finding
	for _, f := range c.findings {
		if !slices.Contains(out, f) { // what holds for each connection is said once
			out = append(out, f)
		}
	}
	return out
}

// settings checks strongswan.conf.
func (c *checker) settings() {
	sc, err := c.files.strongswan()
	if err != nil {
		c.fail(err)
		sc = config.New()
	}
	c.Strongswan, c.Charon = sc, settings.ReadCharon(sc)
	c.sections(sc)
	complaints := settings.Check(sc)
	for _, w := range sc.Warnings() {
		c.warn(w)
	}
	for _, e := range complaints {
		c.warn(e)
	}
	if _, _, err := c.TLSVersions(); err != nil {
		c.fail(err)
	}
	c.attestation()
	tc, err := c.TNC(nil, false)
	if err != nil {
		c.fail(err)
		return
	}
	client, err := tnccs.NewClient(tc)
	if err != nil {
		c.fail(err)
		return
	}
	_ = client.Close() // it has no IMCs
}

// sections says which sections of strongswan.conf count, where there is more than
// charon's.
func (c *checker) sections(sc *config.Config) {
	for _, name := range settings.Programs {
		n := sc.Node(name)
		switch {
		case !n.Exists():
		case name == sc.Preferred("charon"):
			c.add(Note, "", "%v", n.Pos().Errorf("section %s is in force before charon, as in strongSwan's client for swanctl.conf", name))
		default:
			c.add(Note, "", "%v", n.Pos().Errorf("section %s is not in force: tnc reads charon%s", name, map[bool]string{true: " for ipsec.conf, as strongSwan does"}[name == systemd]))
		}
	}
}

// connections checks swanctl.conf or ipsec.conf. Connections that this machine
// does not begin are only named, as long as it begins another one.
func (c *checker) connections() {
	active := 0
	for _, conn := range c.Swanctl.Connections {
		if conn.Passive != "" {
			c.passive(conn)
			continue
		}
		active++
		before := c.bad
		c.connection(conn)
		if c.bad == before {
			c.add(OK, "", "%v", conn.Pos.Errorf("connection %q", conn.Name))
		}
	}
	switch {
	case len(c.Swanctl.Connections) == 0:
		c.add(Error, "", "%s: no connection is configured; add a section connections.<name>", c.Swanctl.File)
	case active == 0:
		c.add(Error, "", "%s: no connection that this machine begins is configured", c.Swanctl.File)
	}
	for _, f := range c.Swanctl.Faults {
		c.fail(f)
	}
	c.keys()
	for _, w := range c.Swanctl.Warnings() {
		c.warn(w)
	}
}

// passive names a connection that is not begun from here. What is wrong with it
// is a warning.
func (c *checker) passive(conn *swanctl.Connection) {
	c.add(Note, "", "%v", conn.Pos.Errorf("connection %q is not begun by this machine: %s", conn.Name, conn.Passive))
	for _, p := range conn.Problems {
		c.warn(p)
	}
}

func (c *checker) connection(conn *swanctl.Connection) {
	before := c.bad
	c.Connection = conn
	defer func() { c.Connection = nil }()
	for _, p := range conn.Problems {
		c.fail(p)
	}
	roots, err := c.Swanctl.Roots(conn)
	if err != nil {
		c.fail(err)
	} else {
		for _, w := range roots.Warnings {
			c.warn(w)
		}
	}
	if _, ok := conn.RemoteHost(); !ok {
		c.fail(noRemoteAddress(conn))
	}
	bad := checkProposals(conn)
	p := c.Profile
	p.Connection, p.Roots = conn, roots
	b := NewBuilder(&p, nil, nil) // one for all checks: it opens the keys once
	if c.bad == before {
		if err := tryConnection(b); err != nil && (bad == nil || err.Error() != bad.Error()) {
			if at := new(config.Error); !errors.As(err, &at) {
				err = conn.Pos.Errorf("connection %q: %w", conn.Name, err)
			}
			c.fail(err)
		}
	}
	if bad != nil {
		c.fail(bad)
	}
	if err == nil && c.bad == before {
		c.secrets(b)
		c.trySignatures(b)
	}
	b.Close()
}

// secrets checks that there is a password for methods that need one, and that it
// is not given to whoever asks.
func (c *checker) secrets(b *Builder) {
	conn := b.Connection
	for _, r := range conn.Remote {
		if ca, err := ike.ParseIdentity(r.CAID); r.CAID != "" && err == nil && !b.knownCA(r, ca) {
			c.warn(noCA(r))
		}
	}
	for _, l := range conn.Local {
		if l.Auth.Class != "eap" {
			continue
		}
		password := l.Auth.Method == "md5" || l.Auth.Method == "mschapv2" || l.Auth.Method == "gtc"
		id := l.EAPIdentity()
		if _, ok := c.Swanctl.Secret("eap", id); id != "" && !ok {
			err := l.Pos.Errorf("connection %q: there is no eap secret for %q: %s", conn.Name, id, b.missingSecret("eap", "EAP", id))
			if password {
				c.fail(err)
			} else {
				c.warn(err)
			}
		}
		if !password {
			continue
		}
		for _, r := range conn.Remote {
			if r.Auth.Class == "pubkey" && len(r.Certs)+len(r.PubKeys)+len(r.CACerts) == 0 && r.CAID == "" {
				if id, _, err := b.remoteIdentity(r); err == nil && id.IDType == message.IDAny {
					c.warn(r.Pos.Errorf("connection %q: remote has no id, so that whoever holds a certificate of any trusted CA learns a hash of the password: set id to the gateway's name", conn.Name))
				}
			}
		}
	}
}

// tryConnection makes the configuration of an IKE_SA, with keys, certificates
// and secrets, and discards it.
func tryConnection(b *Builder) error {
	_, peers, err := b.Config(context.Background(), netip.Addr{})
	for _, p := range peers {
		p.Close()
	}
	return err
}

// imcs checks tnc_config and the libraries that it names.
func (c *checker) imcs() {
	broken := false
	if err := c.readTNCConfig(); err != nil {
		c.brokenTNCConfig(err)
		broken = true
	}
	doubts, _ := dlimc.Doubts(c.TNCConfigPath())
	for _, d := range doubts {
		c.warn(d)
	}
	for _, w := range c.Warnings {
		c.warn(w)
	}
	if c.Swanctl != nil && !broken {
		for _, conn := range c.Swanctl.Connections {
			p := c.Profile
			p.Connection = conn
			if err := p.RequireIMC(); err != nil {
				c.fail(err)
			}
		}
	}
	if !broken {
		c.sectionsOfIMCs()
	}
	for _, e := range c.IMCs {
		i, err := os.Stat(e.Path)
		switch {
		case err != nil:
			c.add(Error, "install the library, or correct its path", "%s:%d: IMC %q: %v", e.File, e.Line, e.Name, err)
		case !i.Mode().IsRegular():
			c.add(Error, "name the library itself", "%s:%d: IMC %q: %s is no file", e.File, e.Line, e.Name, e.Path)
		default:
			c.add(OK, "", "%s:%d: IMC %q", e.File, e.Line, e.Name)
		}
	}
}

// sectionsOfIMCs warns of sections of tnc.imc whose IMC tnc_config does not load.
func (c *checker) sectionsOfIMCs() {
	for _, name := range c.Strongswan.Node("tnc.imc").Sections() {
		if !slices.ContainsFunc(c.IMCs, func(e dlimc.Entry) bool { return e.Name == name }) {
			pos := c.Strongswan.Node("tnc.imc." + name).Pos()
			c.warn(pos.Errorf("section tnc.imc.%s has no effect: tnc_config names no IMC %q", name, name))
		}
	}
}

// brokenTNCConfig names every bad line.
func (c *checker) brokenTNCConfig(err error) {
	if _, problems, _ := dlimc.ParseTNCConfig(c.TNCConfigPath()); len(problems) > 0 {
		for _, p := range problems {
			c.fail(fmt.Errorf("read tnc_config: %w", p))
		}
		return
	}
	c.fail(err)
}

// certificates checks the validity times of all certificates that connections
// name. One of several CAs that is out of date keeps no connection from working.
func (c *checker) certificates() {
	seen := map[string]bool{}
	look := func(x *x509.Certificate, file string, kind Kind) {
		if !seen[string(x.Raw)] {
			seen[string(x.Raw)] = true
			c.certificate(x, file, kind)
		}
	}
	for _, conn := range c.Swanctl.Connections {
		if r, err := c.Swanctl.Roots(conn); err == nil {
			kind := Error
			if slices.ContainsFunc(r.Certs, func(x *x509.Certificate) bool { return c.now.After(x.NotBefore) && c.now.Before(x.NotAfter) }) {
				kind = Warning
			}
			for _, x := range r.Certs {
				look(x, "", kind)
			}
		}
		for _, l := range conn.Local {
			for _, f := range l.Certs {
				certs, _ := swanctl.LoadCertificates(f) // connection says what is wrong; it has looked at those in a TPM
				for _, x := range certs {
					look(x, f, Error)
				}
			}
		}
	}
}

func (c *checker) certificate(x *x509.Certificate, file string, kind Kind) {
	name := strings.TrimSpace(x.Subject.String() + " " + file)
	switch {
	case c.now.After(x.NotAfter):
		c.add(kind, "replace it", "certificate %s expired on %s", name, x.NotAfter.Format(time.DateOnly))
	case c.now.Before(x.NotBefore):
		c.add(kind, "check the clock", "certificate %s is valid from %s on", name, x.NotBefore.Format(time.DateOnly))
	case x.NotAfter.Sub(c.now) < 30*24*time.Hour:
		c.add(Warning, "have it renewed", "certificate %s expires on %s", name, x.NotAfter.Format(time.DateOnly))
	}
}
