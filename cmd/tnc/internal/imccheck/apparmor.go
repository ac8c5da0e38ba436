package imccheck

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
)

// Policy is the AppArmor profile of a program.
type Policy struct {
	File string `json:"file"`
	Mode string `json:"mode"` // enforce, complain, disabled, off (AppArmor is), unknown

	rules []rule
}

// folder holds AppArmor's profiles.
const folder = "/etc/apparmor.d"

// snippet is the file of rules that the packages bring.
const snippet = "/usr/share/doc/gotnc/apparmor/charon"

// appArmor looks whether the profile of a charon permits what loading takes.
func (c *checker) appArmor(k *Charon, objects []object) {
	k.AppArmor = c.policy(k.Path)
	p := k.AppArmor
	if p == nil {
		return
	}
	kind := profile.Error
	switch p.Mode {
	case "complain", "disabled", "off":
		kind = profile.Note
	}
	bad := 0
	forbid := func(path, what string) {
		bad++
		c.add(kind, "append "+snippet+" to "+p.local()+", then: apparmor_parser -r "+p.File,
			"the AppArmor profile %s (%s) does not let %s %s %s", p.File, p.Mode, k.Path, what, path)
	}
	if !p.permits(c.Config.TNCConfig, 'r') {
		forbid(c.Config.TNCConfig, "read")
	}
	for i := range objects {
		o := &objects[i]
		if !o.usable {
			continue
		}
		if path := c.resolved(o.entry.Path); !p.permits(path, 'm') || !p.permits(path, 'r') {
			forbid(path, "load")
		}
		if path := c.resolved(o.program); o.program != "" && !p.permits(path, 'x') {
			forbid(path, "execute")
		}
		if !o.isStub && o.isGo && !p.permits("/usr/bin/env", 'r') && bad == 0 {
			c.add(profile.Note, "with "+snippet+" in "+p.local()+" it reads them all", "the AppArmor profile %s keeps %s from measuring files that charon may not read", p.File, o.entry.Path)
		}
	}
	if bad == 0 {
		c.add(profile.OK, "", "the AppArmor profile %s (%s) permits all files", p.File, p.Mode)
	}
}

// resolved returns where symbolic links of a path lead: AppArmor judges that.
func (c *checker) resolved(path string) string {
	target, err := filepath.EvalSymlinks(c.at(path))
	if err != nil {
		return path
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(target, c.Root), "/")
}

// local is the file that administrators append rules to.
func (p *Policy) local() string { return filepath.Join(folder, "local", filepath.Base(p.File)) }

// policy returns the profile of a program; nil where there is none.
func (c *checker) policy(program string) *Policy {
	files, _ := filepath.Glob(c.at(filepath.Join(folder, "*")))
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || !st.Mode().IsRegular() || st.Size() > maxPolicy {
			continue
		}
		r := reader{folder: c.at(folder), program: program, variables: map[string][]string{}}
		if r.read(f, 0); !r.found {
			continue
		}
		file := filepath.Join(folder, filepath.Base(f))
		return &Policy{File: file, Mode: c.mode(file, r.name), rules: r.compile()}
	}
	return nil
}

// mode returns how a profile is in force.
func (c *checker) mode(file, name string) string {
	on, err := os.ReadFile(c.at("/sys/module/apparmor/parameters/enabled"))
	if err != nil || strings.TrimSpace(string(on)) != "Y" {
		return "off"
	}
	if _, err := os.Lstat(c.at(filepath.Join(folder, "disable", filepath.Base(file)))); err == nil {
		return "disabled"
	}
	loaded, err := os.ReadFile(c.at("/sys/kernel/security/apparmor/profiles"))
	switch {
	case errors.Is(err, fs.ErrNotExist), err != nil: // only root may read it
		return "unknown"
	}
	for line := range strings.Lines(string(loaded)) {
		if n, mode, ok := strings.Cut(strings.TrimSpace(line), " ("); ok && n == name {
			return strings.TrimSuffix(mode, ")")
		}
	}
	return "disabled" // it is not loaded
}
