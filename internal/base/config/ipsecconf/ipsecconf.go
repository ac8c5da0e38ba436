// Package ipsecconf reads ipsec.conf, ipsec.secrets and /etc/ipsec.d, as
// strongSwan's starter and stroke plugin do, and gives them the shape of
// swanctl.conf: one model serves both. Values keep the file and line that they
// come from. What makes one conn unusable leaves the others usable; what has no
// effect here is a warning that says why.
package ipsecconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// DefaultPath is where ipsec.conf is.
const DefaultPath = "/etc/ipsec.conf"

// Limits on what is read.
const (
	maxFile     = 1 << 20 // octets
	maxFiles    = 1000    // with all includes
	maxIncludes = 20      // inside each other; also = inside each other
	maxParents  = 1000    // sections that one inherits from
)

// Config says what to read. The zero value reads DefaultPath.
type Config struct {
	Path        string // of ipsec.conf; "" = DefaultPath
	SecretsFile string // charon.plugins.stroke.secrets_file; "" = ipsec.secrets beside ipsec.conf
	// NoSwap: left is this machine even where right is an address of it
	// (charon.plugins.stroke.allow_swap = no).
	NoSwap bool
	// IsLocal reports whether an address is this machine's; nil asks the
	// interfaces.
	IsLocal func(netip.Addr) bool
}

// Load reads ipsec.conf at path, "" for DefaultPath, with ipsec.secrets and
// ipsec.d beside it.
func Load(path string) (*swanctl.Config, error) { return Config{Path: path}.Load() }

// Load reads the files. Its error is about a file (errors.Is fs.ErrNotExist) or
// the grammar of ipsec.conf; problems of one conn are in its Connection, those of
// ipsec.secrets in Faults.
func (cfg Config) Load() (*swanctl.Config, error) {
	if cfg.Path == "" {
		cfg.Path = DefaultPath
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	if cfg.IsLocal == nil {
		cfg.IsLocal = isLocal
	}
	out := config.New()
	p := &parser{cfg: out}
	if err := p.file(path, 0); err != nil {
		return nil, err
	}
	t := &translator{Config: cfg, cfg: out, dir: filepath.Dir(path), parser: p}
	t.run()
	secrets := &secretsReader{t: t}
	file := cfg.SecretsFile
	if file == "" {
		file = filepath.Join(t.dir, "ipsec.secrets")
	}
	if err := secrets.file(file, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := swanctl.FromConfig(out, path)
	m.LogLevels = t.debug
	m.Faults = append(m.Faults, secrets.faults...)
	m.Folders = map[string]string{}
	for name, folder := range map[string]string{"x509ca": "cacerts", "x509crl": "crls", "x509ocsp": "ocspcerts"} {
		m.Folders[name] = t.path(folder, "")
	}
	for _, c := range t.conns {
		c.finish(m)
	}
	return m, nil
}

// read returns the text of a regular file, or of what behaves like one.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d octets", path, maxFile)
	}
	return string(b), err
}

func isLocal(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range addrs {
		if p, err := netip.ParsePrefix(i.String()); err == nil && p.Addr().Unmap() == a.Unmap() {
			return true
		}
	}
	return false
}

type translator struct {
	Config
	cfg    *config.Config
	dir    string
	parser *parser
	conns  []*conn
	debug  string // charondebug
}

func (t *translator) run() {
	strict := t.setup()
	for _, s := range t.parser.sections {
		if s.name == "%default" {
			continue
		}
		switch s.kind {
		case "ca":
			t.authority(s)
		case "conn":
			t.conn(s, strict)
		}
	}
}

// setup reads config setup and returns strictcrlpolicy.
func (t *translator) setup() (strict config.Value) {
	s := t.parser.find("config", "setup")
	if s == nil {
		return strict
	}
	find := func(key string) (keyword, bool) { k, ok := setupKeywords[key]; return k, ok }
	values := checked(t.cfg, s.values, find, names(setupKeywords), "config setup", t.cfg.Warn)
	t.debug = values["charondebug"].Text
	return values["strictcrlpolicy"]
}

func names(k map[string]keyword) (all []string) {
	for name := range k {
		all = append(all, name)
	}
	return all
}

// conn translates one conn. What is wrong with it is kept for its Connection.
func (t *translator) conn(s *section, strict config.Value) {
	c := &conn{t: t, s: s, us: "left"}
	t.conns = append(t.conns, c)
	values, err := t.parser.merged(s)
	if err != nil {
		var e *config.Error
		if !errors.As(err, &e) {
			e = s.pos.Errorf("%w", err)
		}
		c.bad(e)
	}
	c.v = checked(t.cfg, values, keywordOf, known(), "conn "+s.name, c.bad)
	if !t.NoSwap && t.onThisMachine(c.v["right"].Text) {
		c.us = "right"
	}
	if auto := values["auto"].Text; err == nil && (auto == "" || auto == "ignore") {
		c.passive = "auto is not set, so strongSwan does not load it: set auto = add"
	}
	c.translate(strict)
}

// onThisMachine reports whether one of the addresses is this machine's.
func (t *translator) onThisMachine(hosts string) bool {
	for _, h := range strings.Split(hosts, ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(h)); err == nil && !a.IsUnspecified() && t.IsLocal(a) {
			return true
		}
	}
	return false
}

// finish brings what has no key in swanctl.conf into the model.
func (c *conn) finish(m *swanctl.Config) {
	for _, conn := range m.Connections {
		if conn.Name != c.s.name {
			continue
		}
		sort.SliceStable(c.problems, func(i, j int) bool { return c.problems[i].Pos.Line < c.problems[j].Pos.Line })
		conn.Problems = append(conn.Problems, c.problems...)
		conn.Swapped = c.us == "right"
		if conn.Passive = c.passive; conn.Passive == "" && len(conn.Problems) == 0 {
			if _, ok := conn.RemoteHost(); !ok {
				conn.Passive = c.them() + " names no host, so others connect to this one"
			}
		}
		for _, r := range append(append([]*swanctl.Round(nil), conn.Local...), conn.Remote...) {
			r.ConfirmID = slices.Contains(c.confirmed, r.Name)
			r.OptionalCA = slices.Contains(c.optionalCA, r.Name)
		}
	}
}

// authority translates a ca. As with strongSwan it counts only with auto = add.
func (t *translator) authority(s *section) {
	values, err := t.parser.merged(s)
	if err != nil {
		t.cfg.Warn(s.pos.Errorf("ca %s is not loaded: %w", s.name, err))
		return
	}
	wrong := false
	find := func(key string) (keyword, bool) { k, ok := authorityKeywords[key]; return k, ok }
	values = checked(t.cfg, values, find, names(authorityKeywords), "ca "+s.name, func(e *config.Error) {
		wrong = true
		t.cfg.Warn(s.pos.Errorf("ca %s is not loaded: %w", s.name, e))
	})
	if auto := values["auto"]; wrong || auto.Text == "" || auto.Text == "ignore" {
		if !wrong {
			t.cfg.Warn(s.pos.Errorf("ca %s is not loaded: auto = add is missing", s.name))
		}
		return
	}
	path := []string{"authorities", s.name}
	list := func(to string, keys ...string) {
		var uris []string
		var at config.Value
		for _, k := range keys {
			if v, ok := values[k]; ok {
				uris, at = append(uris, v.Text), v
			}
		}
		if len(uris) > 0 {
			at.Key, at.Text = to, strings.Join(uris, ", ")
			t.cfg.Put(path, at)
		}
	}
	if v, ok := values["cacert"]; ok {
		v.Text = t.path("cacerts", v.Text)
		t.cfg.Put(path, v)
	}
	list("cert_uri_base", "certuribase")
	list("crl_uris", "crluri", "crluri1", "crluri2")
	list("ocsp_uris", "ocspuri", "ocspuri1", "ocspuri2")
}

// path resolves a file of a folder of ipsec.d.
func (t *translator) path(folder, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(t.dir, "ipsec.d", folder, file)
}
