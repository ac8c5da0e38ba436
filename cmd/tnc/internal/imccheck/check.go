// Package imccheck says whether the strongSwan of this machine will load the IMCs of
// tnc_config, before an administrator puts one in place of another: which charon there
// is, whether it has the plugins, and what of AppArmor, C library, architecture and
// file modes would keep it from opening a library. Nothing is loaded or changed.
package imccheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// Report is what was found. `--json` prints it.
type Report struct {
	TNCConfig string          `json:"tnc_config"`
	Loads     bool            `json:"loads"` // each charon loads each entry
	Charons   []Charon        `json:"charons"`
	Entries   []Entry         `json:"entries"`
	Findings  report.Findings `json:"findings"`

	ofCharon int // where in Findings those about charon begin
}

// OfCharon returns what keeps a charon from loading IMCs, without what is wrong with
// the IMCs themselves, which tnc sees too.
func (r Report) OfCharon() (bad report.Findings) {
	for _, f := range r.Findings[r.ofCharon:] {
		if f.Kind == profile.Error && len(r.Charons) > 0 {
			bad = append(bad, f)
		}
	}
	return bad
}

// Entry is one line of tnc_config.
type Entry struct {
	Name    string `json:"name,omitempty"`
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line"`
	Libc    string `json:"libc,omitempty"`    // glibc or musl: what it was linked against
	Machine string `json:"machine,omitempty"` // as in x86_64
	Go      bool   `json:"go,omitempty"`      // it holds a Go runtime
	Stub    bool   `json:"stub,omitempty"`    // it starts tnc imc-host
}

// Config says where to look.
type Config struct {
	// Root is the folder that stands for /, for tests; "" is /.
	Root string
	// Charon is the program to look at; "" means all that are found.
	Charon string
	// Strongswan holds the settings of strongswan.conf; nil is none.
	Strongswan *config.Config
	// TNCConfig is the path of tnc_config; Entries and Problems are what it says.
	TNCConfig string
	Entries   []dlimc.Entry
	Problems  []error
}

// FromProfile returns the Config for the files of a Profile.
func FromProfile(p *profile.Profile, charon string) (Config, error) {
	c := Config{Charon: charon, Strongswan: p.Strongswan, TNCConfig: p.TNCConfigPath()}
	var err error
	if c.Entries, c.Problems, err = p.ListTNCConfig(); errors.Is(err, fs.ErrNotExist) {
		c.Problems, err = append(c.Problems, err), nil
	}
	return c, err
}

// checker collects what is found.
type checker struct {
	Config
	Report
}

func (c *checker) add(kind profile.Kind, remedy, format string, args ...any) {
	if kind == profile.Error {
		c.Loads = false
	}
	c.Findings = append(c.Findings, report.Finding{Kind: kind, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// at returns where a path of the system is below Root.
func (c *Config) at(path string) string { return filepath.Join(c.Root, path) }

// Check looks at everything.
func Check(cfg Config) Report {
	c := &checker{Config: cfg, Report: Report{TNCConfig: cfg.TNCConfig, Loads: true, Charons: []Charon{}, Entries: []Entry{}}}
	for _, err := range c.Problems {
		c.add(profile.Error, "", "%v", err)
	}
	if len(c.Config.Entries) == 0 && len(c.Problems) == 0 {
		c.add(profile.Error, `add a line such as IMC "Attestation" /usr/lib/gotnc/imc-attestation.so`, "%s names no IMC", c.Config.TNCConfig)
	}
	objects := make([]object, 0, len(c.Config.Entries))
	for _, e := range c.Config.Entries {
		objects = append(objects, c.entry(e))
	}
	c.Report.Charons = c.findCharons()
	if len(c.Report.Charons) == 0 {
		c.add(profile.Error, "name it with --charon where it is elsewhere; tnc itself needs none", "no charon is on this machine")
	}
	c.ofCharon = len(c.Findings)
	for i := range c.Report.Charons {
		c.charon(&c.Report.Charons[i], objects)
	}
	return c.Report
}

// entry looks at one library for itself, and returns what its file says.
func (c *checker) entry(e dlimc.Entry) object {
	o, err := c.readObject(e.Path)
	o.entry = e
	c.Report.Entries = append(c.Report.Entries, Entry{Name: e.Name, Path: e.Path, Line: e.Line, Libc: o.libc, Machine: o.machine, Go: o.isGo, Stub: o.isStub})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.add(profile.Error, "install it, or correct the path", "line %d: %s is not there", e.Line, e.Path)
		return o
	case err != nil:
		c.add(profile.Error, "", "line %d: %s is no library: %v", e.Line, e.Path, err)
		return o
	}
	o.usable = true
	if missing := o.missing(); len(missing) > 0 {
		c.add(profile.Error, "", "line %d: %s is no IMC: it lacks %s", e.Line, e.Path, strings.Join(missing, ", "))
		o.usable = false
	}
	if st, err := os.Stat(c.at(e.Path)); err == nil && st.Mode().Perm()&0o444 == 0 {
		c.add(profile.Error, "chmod 644 "+e.Path, "line %d: nobody may read %s", e.Line, e.Path)
	}
	if who := dlimc.Unsafe(c.at(e.Path)); who != "" {
		c.add(profile.Warning, "chown root:root and chmod go-w what it names: charon runs it as root", "line %d: %s %s", e.Line, e.Path, who)
	}
	if o.isStub {
		c.stub(&o)
	}
	return o
}

// stub looks for the program that a stub starts, where the stub looks for it.
func (c *checker) stub(o *object) {
	dir := filepath.Dir(o.entry.Path)
	for _, place := range []string{"tnc", "../bin/tnc", "../../bin/tnc", "../../../bin/tnc", "/usr/local/bin/tnc", "/usr/bin/tnc"} {
		if !filepath.IsAbs(place) {
			place = filepath.Join(dir, place)
		}
		if st, err := os.Stat(c.at(place)); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			o.program = place
			c.add(profile.OK, "", "line %d: %s starts %s", o.entry.Line, o.entry.Path, place)
			return
		}
	}
	c.add(profile.Error, "install tnc beside it, or in /usr/bin", "line %d: %s finds no program tnc to start", o.entry.Line, o.entry.Path)
}
