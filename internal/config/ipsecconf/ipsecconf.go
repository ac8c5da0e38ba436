// Package ipsecconf reads ipsec.conf, ipsec.secrets and /etc/ipsec.d, as
// strongSwan's starter and stroke plugin do, and gives them the shape of
// swanctl.conf: one model serves both. Values keep the file and line that they
// come from; keys that mean nothing to a client are named there.
package ipsecconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/config"
	"github.com/gotnc/gotnc/internal/config/swanctl"
)

// Defaults of places.
const (
	DefaultPath = "/etc/ipsec.conf"

	maxFile     = 1 << 20
	maxIncludes = 20
	maxCerts    = 1000
)

// section is "config setup", "conn name" or "ca name".
type section struct {
	kind, name string
	pos        config.Pos
	values     []config.Value
}

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
	return swanctl.FromConfig(t.cfg, path), nil
}

type parser struct {
	sections []*section
	current  *section
}

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

func (p *parser) file(path string, depth int) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if depth > maxIncludes {
		return fmt.Errorf("%s: includes are nested deeper than %d", path, maxIncludes)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		pos := config.Pos{File: path, Line: n}
		line = strings.TrimRight(line, "\r\n")
		indented := line != "" && (line[0] == ' ' || line[0] == '\t')
		line = strings.TrimSpace(cutComment(line))
		if line == "" {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if w, r, ok := strings.Cut(line, "\t"); ok && len(w) < len(word) {
			word, rest = w, r
		}
		rest = strings.TrimSpace(rest)
		switch {
		case word == "include" && !strings.Contains(line, "="):
			if err := include(path, unquote(rest), pos, func(f string) error { return p.file(f, depth+1) }); err != nil {
				return err
			}
		case !indented && (word == "config" || word == "conn" || word == "ca"):
			p.current = &section{kind: word, name: unquote(rest), pos: pos}
			if p.current.name == "" {
				return pos.Errorf("%s without a name", word)
			}
			p.sections = append(p.sections, p.current)
		case word == "version":
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || p.current == nil {
				return pos.Errorf("%q is no section and no key=value of one", line)
			}
			p.current.values = append(p.current.values, config.Value{Key: strings.TrimSpace(key), Text: unquote(strings.TrimSpace(value)), Pos: pos})
		}
	}
	return nil
}

// include calls f for each file that pattern means.
func include(from, pattern string, pos config.Pos, f func(string) error) error {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return pos.Errorf("include %s: %w", pattern, err)
	}
	if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		return pos.Errorf("include %s: %w", pattern, fs.ErrNotExist)
	}
	for _, file := range files {
		if err := f(file); err != nil {
			return err
		}
	}
	return nil
}

// cutComment removes what follows a # that begins a word outside of quotes.
func cutComment(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '#' && !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

type translator struct {
	cfg      *config.Config
	dir      string
	sections []*section
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
				case "charondebug", "uniqueids", "cachecrls", "plutostart", "charonstart":
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
	for _, v := range s.values {
		path := []string{"authorities", s.name}
		switch v.Key {
		case "cacert":
			v.Text = t.path("cacerts", v.Text)
			t.cfg.Put(path, v)
		case "crluri", "crluri1", "crluri2":
			v.Key = "crl_uris"
			t.cfg.Put(path, v)
		case "ocspuri", "ocspuri1", "ocspuri2":
			v.Key = "ocsp_uris"
			t.cfg.Put(path, v)
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

// conn is one connection with its merged values; what was read is taken out.
type conn struct {
	t *translator
	s *section
	v map[string]config.Value
}

func (c *conn) take(key string) (config.Value, bool) {
	v, ok := c.v[key]
	delete(c.v, key)
	return v, ok && v.Text != ""
}

// copy puts a value under another key.
func (c *conn) copy(from, to string, path ...string) {
	if v, ok := c.take(from); ok {
		c.put(v, to, v.Text, path...)
	}
}

func (c *conn) put(v config.Value, key, text string, path ...string) {
	v.Key, v.Text = key, text
	c.t.cfg.Put(append([]string{"connections", c.s.name}, path...), v)
}

func (c *conn) at() config.Value { return config.Value{Pos: c.s.pos} }

// Keys without meaning for a client of this kind, or whose default is the only
// choice here.
var ignored = []string{
	"installpolicy", "reqid", "leftfirewall", "lefthostaccess", "leftallowany", "rightallowany", "leftsendcert", "rightsendcert", "leftid2",
	"modeconfig", "inactivity", "tfc", "eap_identity2", "lifebytes", "lifepackets", "marginbytes", "marginpackets", "leftprotoport", "rightprotoport",
	"compress", "mobike2", "me_peerid", "mediation", "leftgroups", "rightgroups2", "rekeyfuzz", "dpdtimeout", "sha256_96", "replay_window2",
}

func (c *conn) translate(strict config.Value) error {
	child := []string{"children", c.s.name}
	c.t.cfg.Put(append([]string{"connections", c.s.name}, child...), c.at())
	if v, ok := c.take("keyexchange"); ok && v.Text == "ikev1" {
		c.put(v, "version", "1")
	} else {
		c.put(c.at(), "version", "2")
	}
	for from, to := range map[string]string{"left": "local_addrs", "right": "remote_addrs"} {
		if v, ok := c.take(from); ok && v.Text != "%any" && v.Text != "%defaultroute" {
			c.put(v, to, v.Text)
		}
	}
	c.copy("ike", "proposals")
	c.copy("esp", "esp_proposals", child...)
	c.strictProposals(child)
	c.copy("mobike", "mobike")
	c.copy("fragmentation", "fragmentation")
	c.copy("forceencaps", "encap")
	c.copy("keyingtries", "keyingtries")
	c.copy("dpddelay", "dpd_delay")
	c.copy("leftsourceip", "vips")
	c.sourceIP()
	c.copy("leftsubnet", "local_ts", child...)
	c.copy("rightsubnet", "remote_ts", child...)
	c.copy("leftupdown", "updown", child...)
	c.copy("replay_window", "replay_window", child...)
	c.copy("mark_in", "mark_in", child...)
	c.copy("mark_out", "mark_out", child...)
	if v, ok := c.take("mark"); ok {
		c.put(v, "mark_in", v.Text, child...)
		c.put(v, "mark_out", v.Text, child...)
	}
	if v, ok := c.take("type"); ok && v.Text != "tunnel" {
		c.put(v, "mode", v.Text, child...)
	}
	for from, to := range map[string]string{"dpdaction": "dpd_action", "closeaction": "close_action", "auto": "start_action"} {
		v, ok := c.take(from)
		if !ok {
			continue
		}
		action := v.Text
		switch action {
		case "add", "ignore":
			action = "none"
		case "route", "hold":
			action = "trap"
		case "restart":
			action = "start"
		case "none":
			if from == "dpdaction" { // dead peer detection is off
				c.put(v, "dpd_delay", "0")
				continue
			}
		}
		if from == "auto" && action == "none" {
			continue
		}
		c.put(v, to, action, child...)
	}
	if err := c.lifetimes(child); err != nil {
		return err
	}
	if err := c.authentication(strict); err != nil {
		return err
	}
	for _, k := range ignored {
		delete(c.v, k)
	}
	keys := make([]string, 0, len(c.v))
	for k := range c.v {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !strings.HasPrefix(k, "x-") && !strings.HasPrefix(k, "x_") {
			c.t.cfg.Warn(c.v[k].Errorf("setting %q is not known in conn %s", k, c.s.name))
		}
	}
	return nil
}

// strictProposals takes the "!" off, after which nothing else is offered:
// nothing else ever is here.
func (c *conn) strictProposals(child []string) {
	for _, p := range [][]string{{"proposals"}, append(append([]string(nil), child...), "esp_proposals")} {
		path := "connections." + c.s.name + "." + strings.Join(p, ".")
		if v, ok := c.t.cfg.Lookup(path); ok && strings.HasSuffix(v.Text, "!") {
			c.put(v, p[len(p)-1], strings.TrimSuffix(v.Text, "!"), p[:len(p)-1]...)
		}
	}
}

// sourceIP writes %config as the addresses that ask for any.
func (c *conn) sourceIP() {
	v, ok := c.t.cfg.Lookup("connections." + c.s.name + ".vips")
	if !ok {
		return
	}
	var out []string
	for _, s := range strings.Split(v.Text, ",") {
		switch s = strings.TrimSpace(s); s {
		case "%config", "%config4", "%modeconfig", "%modecfg", "%cfg":
			s = "0.0.0.0"
		case "%config6":
			s = "::"
		}
		out = append(out, s)
	}
	c.put(v, "vips", strings.Join(out, ","))
}

// seconds reads a time of ipsec.conf: a number with s, m, h or d.
func seconds(v config.Value) (time.Duration, error) {
	text, unit := v.Text, time.Second
	if n := len(text); n > 1 {
		switch text[n-1] {
		case 's':
			text = text[:n-1]
		case 'm':
			text, unit = text[:n-1], time.Minute
		case 'h':
			text, unit = text[:n-1], time.Hour
		case 'd':
			text, unit = text[:n-1], 24*time.Hour
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || time.Duration(n) > math.MaxInt64/unit {
		return 0, v.Errorf("%s = %q: not a time as 3600, 60m or 1h", v.Key, v.Text)
	}
	return time.Duration(n) * unit, nil
}

// lifetimes: ipsec.conf gives the end and a margin before it, swanctl.conf the
// time of rekeying and how long after it the end is.
func (c *conn) lifetimes(child []string) error {
	get := func(def time.Duration, keys ...string) (time.Duration, config.Value, error) {
		pos := c.at()
		for _, k := range keys {
			if v, ok := c.take(k); ok {
				d, err := seconds(v)
				if err != nil {
					return 0, v, err
				}
				def, pos = d, v
			}
		}
		return def, pos, nil
	}
	ikeLife, ikePos, err1 := get(3*time.Hour, "ikelifetime")
	life, lifePos, err2 := get(time.Hour, "lifetime", "keylife")
	margin, _, err3 := get(9*time.Minute, "margintime", "rekeymargin")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	rekey, reauth := true, true
	if v, ok := c.take("rekey"); ok {
		rekey = v.Text != "no"
	}
	if v, ok := c.take("reauth"); ok {
		reauth = v.Text != "no"
	}
	text := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }
	before := func(life time.Duration) time.Duration { return max(life-margin, life/10, time.Second) }
	switch {
	case !rekey:
		c.put(ikePos, "rekey_time", "0")
	case reauth:
		c.put(ikePos, "reauth_time", text(before(ikeLife)))
		c.put(ikePos, "rekey_time", "0")
	default:
		c.put(ikePos, "rekey_time", text(before(ikeLife)))
	}
	c.put(ikePos, "over_time", text(ikeLife-before(ikeLife)))
	c.put(lifePos, "life_time", text(life), child...)
	if rekey {
		c.put(lifePos, "rekey_time", text(before(life)), child...)
	} else {
		c.put(lifePos, "rekey_time", "0", child...)
	}
	return nil
}

func (c *conn) authentication(strict config.Value) error {
	by, hasBy := c.take("authby")
	method := func(v config.Value, ok bool) (config.Value, string) {
		switch {
		case ok:
			return v, v.Text
		case hasBy && (by.Text == "secret" || by.Text == "psk"):
			return by, "psk"
		}
		return c.at(), "pubkey"
	}
	eapID, hasEAPID := c.take("eap_identity")
	aaaID, hasAAAID := c.take("aaa_identity")
	for _, end := range []struct{ left, section string }{{"left", "local"}, {"right", "remote"}} {
		for _, round := range []string{"", "2"} {
			v, ok := c.take(end.left + "auth" + round)
			if round == "2" && !ok {
				continue
			}
			sec := end.section + round
			pos, auth := method(v, ok)
			c.put(pos, "auth", auth, sec)
			if round == "2" {
				c.put(pos, "round", "2", sec)
			}
			c.copy(end.left+"id"+round, "id", sec)
			if v, ok := c.take(end.left + "cert" + round); ok {
				c.put(v, "certs", c.t.path("certs", v.Text), sec)
			}
			if end.section == "local" && strings.HasPrefix(auth, "eap") {
				if hasEAPID && eapID.Text != "%identity" && eapID.Text != "%any" {
					c.put(eapID, "eap_id", eapID.Text, sec)
				}
				if hasAAAID {
					c.put(aaaID, "aaa_id", aaaID.Text, sec)
				}
			}
		}
	}
	if strict.Text == "yes" {
		c.put(strict, "revocation", "strict", "remote")
	} else if strict.Text == "ifuri" {
		c.put(strict, "revocation", "ifuri", "remote")
	}
	for _, k := range []string{"leftca", "rightca"} {
		if v, ok := c.take(k); ok && v.Text != "%same" {
			c.t.cfg.Warn(v.Errorf("%s is not checked: every CA of ipsec.d/cacerts is trusted", k))
		}
	}
	return c.cacerts()
}

// cacerts names every file of ipsec.d/cacerts.
func (c *conn) cacerts() error {
	dir := filepath.Join(c.t.dir, "ipsec.d", "cacerts")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) > maxCerts {
		return fmt.Errorf("%s holds more than %d files", dir, maxCerts)
	}
	if len(files) > 0 {
		c.put(c.at(), "cacerts", strings.Join(files, ","), "remote")
	}
	return nil
}

// secrets reads ipsec.secrets: [owners] : TYPE value.
func (t *translator) secrets(path string, depth int) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if depth > maxIncludes {
		return fmt.Errorf("%s: includes are nested deeper than %d", path, maxIncludes)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		pos := config.Pos{File: path, Line: n}
		line = strings.TrimSpace(cutComment(strings.TrimRight(line, "\r\n")))
		if line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "include "); ok {
			if err := include(path, unquote(strings.TrimSpace(rest)), pos, func(f string) error { return t.secrets(f, depth+1) }); err != nil {
				return err
			}
			continue
		}
		owners, rest, ok := cutColon(line)
		if !ok {
			return pos.Errorf("a secret is written [owner …] : TYPE value")
		}
		words := fields(rest)
		if len(words) < 2 {
			return pos.Errorf("after the colon the type of the secret and its value are expected")
		}
		name := fmt.Sprintf("%d-%d", depth, n)
		put := func(section, key, value string) {
			t.cfg.Put([]string{"secrets", section}, config.Value{Key: key, Text: value, Pos: pos})
		}
		switch kind := strings.ToUpper(words[0]); kind {
		case "EAP", "XAUTH", "NTLM", "PSK", "PPK":
			section := map[string]string{"EAP": "eap", "XAUTH": "xauth", "NTLM": "ntlm", "PSK": "ike", "PPK": "ppk"}[kind] + name
			put(section, "secret", words[1])
			for i, id := range fields(owners) {
				put(section, fmt.Sprintf("id%d", i), id)
			}
		case "RSA", "ECDSA", "PKCS8", "PRIV", "P12":
			kind := map[string]string{"RSA": "rsa", "ECDSA": "ecdsa", "PKCS8": "pkcs8", "PRIV": "private", "P12": "pkcs12"}[kind]
			put(kind+name, "file", t.path("private", words[1]))
			if len(words) > 2 && words[2] != "%prompt" {
				put(kind+name, "secret", words[2])
			}
		default:
			t.cfg.Warn(pos.Errorf("secrets of type %s are not supported", kind))
		}
	}
	return nil
}

// cutColon splits at the first colon that is a word of its own, so that IPv6
// addresses may be owners.
func cutColon(line string) (owners, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(line); i++ {
		if line[i] == '"' {
			quoted = !quoted
		}
		if line[i] == ':' && !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i], line[i+1:], true
		}
	}
	return "", "", false
}

// fields splits at blanks outside of quotes, which are taken off.
func fields(s string) (out []string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '"' || s[0] == '\'' {
			if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
				out = append(out, s[1:1+end])
				s = s[end+2:]
				continue
			}
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}
