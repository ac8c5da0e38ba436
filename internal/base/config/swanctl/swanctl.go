// Package swanctl is the typed model of swanctl.conf: connections with their
// authentication rounds and children, secrets, authorities, and the CA
// certificates beside the file. Unknown keys are warnings with their place;
// what is wrong in one connection leaves the others usable.
package swanctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// EnvDir names the environment variable with the directory of swanctl.conf.
const EnvDir = "SWANCTL_DIR"

// DefaultDir is the directory of swanctl.conf where SWANCTL_DIR is not set.
const DefaultDir = "/etc/swanctl"

// DefaultPath returns where swanctl.conf is.
func DefaultPath() string {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		dir = DefaultDir
	}
	return filepath.Join(dir, "swanctl.conf")
}

// Config is a loaded swanctl.conf. It is read-only and safe for concurrent
// use, except for Close.
type Config struct {
	File string
	Dir  string // what relative paths of credentials start from
	// Folders are where folders of credentials are, by swanctl.conf's name
	// ("x509ca"); nil = below Dir. Those that are not in it are empty.
	Folders map[string]string
	// LogLevels is what ipsec.conf says of the log (charondebug), as in
	// "tnc 3, imc 2"; "" where nothing does.
	LogLevels   string
	Connections []*Connection
	Secrets     []*SharedSecret
	Keys        []*PrivateKey
	Tokens      []*Token
	Authorities []*Authority
	// Faults are what makes strongSwan discard a secret or an authority, or stop
	// reading the secrets. Connections that do not need them work.
	Faults []*config.Error
	// Match compares an owner of a secret with an identity; nil compares their
	// text.
	Match func(owner, id string) OwnerMatch

	cfg *config.Config
}

// Load reads swanctl.conf at path, "" for DefaultPath. Its error is about the
// file (errors.Is fs.ErrNotExist) or its grammar; problems of one connection
// are told by Connection.
func Load(path string) (*Config, error) {
	if path == "" {
		path = DefaultPath()
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	return FromConfig(c, path), nil
}

// FromConfig builds the model from what was already read from the file path.
func FromConfig(c *config.Config, path string) *Config {
	dir := filepath.Dir(path)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	m := &Config{File: path, Dir: dir, cfg: c}
	for _, name := range c.Node("").Sections() {
		switch name {
		case "connections":
			n := c.Node(name)
			for _, s := range n.Sections() {
				m.Connections = append(m.Connections, m.connection(n.Sub(s)))
			}
		case "secrets":
			n := c.Node(name)
			for _, s := range n.Sections() {
				m.secret(n.Sub(s))
			}
		case "authorities":
			n := c.Node(name)
			for _, s := range n.Sections() {
				m.authority(n.Sub(s))
			}
		case "pools": // of a gateway
		default:
			// Sections that others inherit from may have any name.
			if !referenced(c.Top(), name) {
				c.Warn(c.Node(name).Pos().Errorf("section %q is not known; connections, secrets, authorities and pools are%s", name, config.Suggest(name, []string{"connections", "secrets", "authorities", "pools"})))
			}
		}
	}
	for _, v := range c.Node("").Values() {
		c.Warn(v.Errorf("setting %q outside of a section is not known", v.Key))
	}
	dangling(c, c.Top())
	return m
}

// dangling warns of sections that inherit from one that is not there.
func dangling(c *config.Config, s *config.Section) {
	for _, r := range s.Refs {
		if !c.Node(r.Name).Exists() {
			c.Warn(r.Pos.Errorf("section %q inherits from %q, which is not there", s.Name, r.Name))
		}
	}
	for _, sub := range s.Sections() {
		dangling(c, sub)
	}
}

// referenced reports whether some section inherits from the top-level section
// of that name.
func referenced(s *config.Section, name string) bool {
	for _, r := range s.Refs {
		if r.Name == name || strings.HasPrefix(r.Name, name+".") {
			return true
		}
	}
	for _, sub := range s.Sections() {
		if referenced(sub, name) {
			return true
		}
	}
	return false
}

// Warnings returns what is suspicious in the file, sorted by place.
func (m *Config) Warnings() []*config.Error { return m.cfg.Warnings() }

// Read returns the configuration files that were read, in order.
func (m *Config) Read() []string { return m.cfg.Files() }

// Names returns the names of the connections.
func (m *Config) Names() []string {
	var names []string
	for _, c := range m.Connections {
		names = append(names, c.Name)
	}
	return names
}

// Connection returns the connection of that name; for "" the only one. As
// swanctl --initiate --child does, the name of a child finds its connection
// too. The error joins all that is wrong with the connection.
func (m *Config) Connection(name string) (*Connection, error) {
	var found *Connection
	switch {
	case len(m.Connections) == 0:
		return nil, fmt.Errorf("%s: no connection is configured; add a section connections.<name>", m.File)
	case name == "" && len(m.Connections) > 1:
		return nil, fmt.Errorf("%s: there are %d connections, name one of: %s", m.File, len(m.Connections), strings.Join(m.Names(), ", "))
	case name == "":
		found = m.Connections[0]
	default:
		for _, c := range m.Connections {
			if c.Name == name {
				found = c
			}
		}
		if found == nil {
			for _, c := range m.Connections {
				if c.Child(name) != nil {
					found = c
					break
				}
			}
		}
		if found == nil {
			return nil, fmt.Errorf("%s: no connection %q; there are: %s", m.File, name, strings.Join(m.Names(), ", "))
		}
	}
	if len(found.Problems) > 0 {
		return nil, found.Err()
	}
	return found, nil
}

// Close zeroes the secrets.
func (m *Config) Close() {
	for _, s := range m.Secrets {
		s.Secret.Zero()
	}
	for _, k := range m.Keys {
		k.Passphrase.Zero()
	}
	for _, t := range m.Tokens {
		t.PIN.Zero()
	}
}

// keys is what a section may hold, and how the client treats it.
type keys map[string]treatment

type treatment struct {
	// ignored says why the setting has no effect; "" where it has one, or where
	// that it has none needs no word.
	ignored string
	unset   []string                 // values that say the same as leaving it out
	check   func(config.Value) error // of a value without effect: strongSwan refuses a bad one; nil takes all
}

func (t treatment) same(text string) bool {
	return containsFold(t.unset, text)
}

var used = treatment{}

// as returns t for values that check allows.
func (t treatment) as(check func(config.Value) error) treatment { t.check = check; return t }

// valid makes a check of a reader of values.
func valid[T any](read func(config.Value) (T, error)) func(config.Value) error {
	return func(v config.Value) error { _, err := read(v); return err }
}

// choice allows some words, of any case.
func choice(words ...string) func(config.Value) error {
	return func(v config.Value) error {
		if containsFold(words, v.Text) {
			return nil
		}
		return v.Errorf("%s = %s: not one of %s", v.Key, config.QuoteText(v.Text), strings.Join(words, ", "))
	}
}

// wholeNumber allows numbers from 0 on.
func wholeNumber(v config.Value) error {
	if n, err := v.Int(); err != nil || n < 0 {
		return v.Errorf("%s = %s: not a number between 0 and 4294967295", v.Key, config.QuoteText(v.Text))
	}
	return nil
}

// either allows what one of the checks allows.
func either(checks ...func(config.Value) error) func(config.Value) error {
	return func(v config.Value) (err error) {
		for _, check := range checks {
			if err = check(v); err == nil {
				return nil
			}
		}
		return err
	}
}

// without returns the treatment of a setting without effect, for the reason why.
func without(why string, unset ...string) treatment { return treatment{ignored: why, unset: unset} }

// unknown reports values and sections that k and its prefixes do not name, and
// values in typographic quotes: strongSwan discards what holds an option that it
// does not know, and a setting that was meant to protect must not be lost.
// Settings without effect are warnings.
func (m *Config) unknown(n *config.Node, k keys, valuePrefixes, sections, sectionPrefixes []string, bad func(*config.Error)) {
	for _, v := range n.Values() {
		t, ok := k[v.Key]
		switch {
		case !ok && !hasPrefix(v.Key, valuePrefixes):
			bad(v.Errorf("setting %q is not known in %s%s", v.Key, n.Path(), suggest(v.Key, k)))
		case v.Curly():
			bad(v.Errorf("%s = %s: typographic quotes are part of the value: write \"", v.Key, v.Text))
		case t.check != nil && t.check(v) != nil:
			err := t.check(v)
			at := new(config.Error)
			if !errors.As(err, &at) {
				at = v.Errorf("%s: %w", v.Key, err)
			}
			bad(at)
		case t.ignored != "" && !t.same(v.Text):
			m.cfg.Warn(v.Errorf("%s has no effect: %s", v.Key, t.ignored))
		}
	}
	for _, s := range n.Sections() {
		if !hasPrefixFold(s, sectionPrefixes) && !containsFold(sections, s) {
			known := append(append([]string(nil), sections...), sectionPrefixes...)
			bad(n.Sub(s).Pos().Errorf("section %q is not known in %s%s", s, n.Path(), suggestSection(s, known)))
		}
	}
}

// otherNames are what the settings are called in ipsec.conf and elsewhere.
var otherNames = map[string][]string{
	"remote_ts": {"remote_subnet", "remotesubnet", "rightsubnet", "remote_net"}, "local_ts": {"local_subnet", "localsubnet", "leftsubnet", "local_net"},
	"remote_addrs": {"right", "remote", "gateway", "host", "server"}, "local_addrs": {"left"}, "proposals": {"ike"}, "esp_proposals": {"esp"},
	"id": {"leftid", "rightid", "identity"}, "certs": {"leftcert", "rightcert"}, "auth": {"leftauth", "rightauth", "authby"}, "eap_id": {"eap_identity"},
	"aaa_id": {"aaa_identity"}, "ca_id": {"rightca"}, "vips": {"leftsourceip", "sourceip"}, "start_action": {"auto"}, "version": {"keyexchange"},
	"encap": {"forceencaps"}, "dpd_action": {"dpdaction"}, "dpd_delay": {"dpddelay"}, "close_action": {"closeaction"}, "life_time": {"lifetime", "keylife"},
	"secret": {"password", "psk"}, "file": {"key"},
}

func suggest(key string, k keys) string {
	for name := range k {
		if slices.Contains(otherNames[name], strings.ToLower(key)) {
			return fmt.Sprintf("; is %q meant?", name)
		}
	}
	known := make([]string, 0, len(k))
	for name := range k {
		known = append(known, name)
	}
	if s := config.Suggest(key, known); s != "" {
		return s
	}
	return ": take it out"
}

func suggestSection(name string, known []string) string {
	if s := config.Suggest(name, known); s != "" {
		return s
	}
	if len(known) == 0 {
		return ": it has no sections"
	}
	return "; there are: " + strings.Join(known, ", ")
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, s) })
}

// hasPrefixFold is hasPrefix for sections, whose case strongSwan does not regard.
func hasPrefixFold(s string, prefixes []string) bool { return hasPrefix(strings.ToLower(s), prefixes) }

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// path resolves a file of credentials: absolute, or below dir/sub.
func (m *Config) path(sub, file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(m.Dir, sub, file)
}
