// Package ipsecconf reads ipsec.conf, ipsec.secrets and /etc/ipsec.d, as
// strongSwan's starter and stroke plugin do, and gives them the shape of
// swanctl.conf: one model serves both. Values keep the file and line that they
// come from; keys that mean nothing to a client are named there.
package ipsecconf

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// Defaults of places.
const (
	DefaultPath = "/etc/ipsec.conf"

	maxFile     = 1 << 20
	maxIncludes = 20
)

// Load reads ipsec.conf at path, "" for DefaultPath, with ipsec.secrets and
// ipsec.d beside it.
func Load(path string) (*swanctl.Config, error) {
	if path == "" {
		path = DefaultPath
	}
	p := &parser{}
	if err := p.file(path, 0); err != nil {
		return nil, err
	}
	t := &translator{cfg: config.New(), dir: filepath.Dir(path), sections: p.sections}
	if err := t.run(); err != nil {
		return nil, err
	}
	if err := t.secrets(filepath.Join(t.dir, "ipsec.secrets"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := swanctl.FromConfig(t.cfg, path)
	m.LogLevels = t.debug
	m.Folders = map[string]string{}
	for name, folder := range map[string]string{"x509ca": "cacerts", "x509crl": "crls", "x509ocsp": "ocspcerts"} {
		dir, err := filepath.Abs(t.path(folder, ""))
		if err != nil {
			return nil, err
		}
		m.Folders[name] = dir
	}
	return m, nil
}

type translator struct {
	cfg      *config.Config
	dir      string
	sections []*section
	debug    string // charondebug
	held     int    // secrets so far, of all files
}

func (t *translator) find(kind, name string) *section {
	for _, s := range t.sections {
		if s.kind == kind && s.name == name {
			return s
		}
	}
	return nil
}

// merged are the values of a conn: of %default, of what it includes with also,
// its own; the last one counts.
func (t *translator) merged(s *section, seen map[string]bool) (map[string]config.Value, error) {
	if seen[s.name] {
		return nil, s.pos.Errorf("conn %s includes itself with also", s.name)
	}
	seen[s.name] = true
	defer delete(seen, s.name)
	out := map[string]config.Value{}
	for _, v := range s.values {
		if v.Key != "also" {
			continue
		}
		other := t.find(s.kind, v.Text)
		if other == nil {
			return nil, v.Errorf("also = %s: there is no such conn", v.Text)
		}
		m, err := t.merged(other, seen)
		if err != nil {
			return nil, err
		}
		for k, v := range m {
			out[k] = v
		}
	}
	for _, v := range s.values {
		if v.Key != "also" {
			out[v.Key] = v
		}
	}
	return out, nil
}

func (t *translator) run() error {
	var strict config.Value
	for _, s := range t.sections {
		switch s.kind {
		case "config":
			for _, v := range s.values {
				switch v.Key {
				case "strictcrlpolicy":
					strict = v
				case "charondebug":
					t.debug = v.Text
				case "uniqueids", "cachecrls", "plutostart", "charonstart":
				default:
					t.cfg.Warn(v.Errorf("setting %q is not known in config setup", v.Key))
				}
			}
		case "ca":
			t.authority(s)
		}
	}
	defaults := map[string]config.Value{}
	if d := t.find("conn", "%default"); d != nil {
		var err error
		if defaults, err = t.merged(d, map[string]bool{}); err != nil {
			return err
		}
	}
	for _, s := range t.sections {
		if s.kind != "conn" || s.name == "%default" {
			continue
		}
		own, err := t.merged(s, map[string]bool{})
		if err != nil {
			return err
		}
		c := &conn{t: t, s: s, v: map[string]config.Value{}}
		for k, v := range defaults {
			c.v[k] = v
		}
		for k, v := range own {
			c.v[k] = v
		}
		if err := c.translate(strict); err != nil {
			return err
		}
	}
	return nil
}

func (t *translator) authority(s *section) {
	path := []string{"authorities", s.name}
	uris := map[string]string{}
	add := func(key string, v config.Value) {
		if uris[key] != "" {
			v.Text = uris[key] + ", " + v.Text
		}
		uris[key], v.Key = v.Text, key
		t.cfg.Put(path, v)
	}
	for _, v := range s.values {
		switch v.Key {
		case "cacert":
			v.Text = t.path("cacerts", v.Text)
			t.cfg.Put(path, v)
		case "crluri", "crluri1", "crluri2":
			add("crl_uris", v)
		case "ocspuri", "ocspuri1", "ocspuri2":
			add("ocsp_uris", v)
		case "auto", "certuribase":
		default:
			t.cfg.Warn(v.Errorf("setting %q is not known in ca %s", v.Key, s.name))
		}
	}
}

// path resolves a file of a folder of ipsec.d.
func (t *translator) path(folder, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(t.dir, "ipsec.d", folder, file)
}
