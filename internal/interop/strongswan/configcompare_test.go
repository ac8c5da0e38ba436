package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// comparer loads configurations into charon and into tnc.
type comparer struct {
	t       *testing.T
	charon  *configCharon
	program string
	// defaults are the default proposals of charon, which depend on its plugins,
	// and of tnc.
	defaults [2]fields
}

func newComparer(t *testing.T, charon *configCharon) *comparer {
	t.Helper()
	c := &comparer{t: t, charon: charon, program: tncProgram(t)}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "swanctl.conf"), []byte("connections {\n d {\n remote_addrs = 192.0.2.1\n local {\n auth = psk\n id = a\n}\n remote {\n auth = psk\n}\n children {\n d {\n}\n}\n}\n}\n"), 0o600))
	theirs, said := charon.loadSwanctl(dir)
	require.Contains(t, theirs, "d", said)
	ours, err := show(t, charon, c.program, "--swanctl", filepath.Join(dir, "swanctl.conf"))
	require.NoError(t, err)
	c.defaults = [2]fields{theirs["d"], ours[0].fields()}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "swanctl.conf"), nil, 0o600))
	charon.loadSwanctl(dir)
	return c
}

// defaulted writes the default proposals as "default".
func (c *comparer) defaulted(f fields, of int) fields {
	out := fields{}
	for k, v := range f {
		def := ""
		switch {
		case k == "proposals":
			def = c.defaults[of][k]
		case strings.HasSuffix(k, ".proposals"):
			def = c.defaults[of]["child d.proposals"]
		}
		if def != "" {
			v = strings.ReplaceAll(v, def, "default")
		}
		out[k] = v
	}
	return out
}

// outcome is how the two understand one connection.
type outcome struct {
	name    string
	kind    string // same, other, refused here, refused there, refused by both
	details []string
}

const (
	same        = "same"
	other       = "other meaning"
	onlyTheirs  = "refused only here"
	onlyOurs    = "refused only by strongSwan"
	bothRefused = "refused by both"
)

// swanctl compares dir/swanctl.conf.
func (c *comparer) swanctl(dir string) []outcome {
	theirs, said := c.charon.loadSwanctl(dir)
	ours, err := show(c.t, c.charon, c.program, "--swanctl", filepath.Join(dir, "swanctl.conf"), "--strongswan-conf", "/dev/null")
	return c.outcomes(theirs, said, ours, err, compared)
}

func (c *comparer) outcomes(theirs map[string]fields, said string, ours []shown, err error, keys *regexp.Regexp) (out []outcome) {
	if err != nil {
		if len(theirs) == 0 {
			return []outcome{{"", bothRefused, []string{err.Error()}}}
		}
		return []outcome{{"", onlyTheirs, []string{err.Error()}}}
	}
	byName := map[string]bool{}
	for _, s := range ours {
		byName[s.Name] = true
	}
	seen := map[string]bool{}
	for _, s := range ours {
		seen[s.Name] = true
		t, loaded := theirs[s.Name]
		for _, f := range theirs {
			if _, ok := f["child "+s.Name+".mode"]; ok && !loaded {
				t, loaded = f, true
			}
		}
		o := outcome{name: s.Name, kind: same}
		switch {
		case !loaded && len(s.Problems) > 0:
			o.kind, o.details = bothRefused, s.Problems
		case !loaded && s.Passive != "": // not even loaded by strongSwan
		case s.Passive != "" && len(s.Children) > 0 && s.Children[0].Mode != "tunnel":
		case strings.Contains(s.Passive, "type ="): // a rule for packets
		case !loaded:
			o.kind, o.details = onlyOurs, []string{said}
		case len(s.Problems) > 0:
			o.kind, o.details = onlyTheirs, s.Problems
		default:
			t = t.normal()
			for end, rounds := range map[string][]shownRound{"local": s.Local, "remote": s.Remote} {
				for i, r := range rounds {
					if len(r.PubKeys) > 0 { // charon calls a raw key a certificate
						delete(t, fmt.Sprintf("%s-%d.cert", end, i+1))
					}
				}
			}
			for k := range t { // conns of ipsec.conf with the same ends share a configuration
				if child, ok := strings.CutPrefix(k, "child "); ok && !s.has(child[:strings.LastIndexByte(child, '.')]) && byName[child[:strings.LastIndexByte(child, '.')]] {
					delete(t, k)
				}
			}
			if d := differences(c.defaulted(t, 0), c.defaulted(s.fields(), 1), keys); len(d) > 0 {
				o.kind, o.details = other, d
			}
		}
		out = append(out, o)
	}
	for name := range theirs {
		if !seen[name] {
			out = append(out, outcome{name, onlyTheirs, []string{fmt.Sprintf("tnc knows no connection %q", name)}})
		}
	}
	return out
}

// has reports whether the connection has a child of that name.
func (s shown) has(child string) bool {
	for _, c := range s.Children {
		if c.Name == child {
			return true
		}
	}
	return false
}
