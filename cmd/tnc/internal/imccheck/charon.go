package imccheck

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/internal/base/config"
)

// Charon is a charon of this machine.
type Charon struct {
	Path     string   `json:"path"`
	Running  bool     `json:"running"`
	Libc     string   `json:"libc,omitempty"`
	Machine  string   `json:"machine,omitempty"`
	Plugins  string   `json:"plugins,omitempty"` // their folder
	Missing  []string `json:"missing_plugins,omitempty"`
	AppArmor *Policy  `json:"apparmor,omitempty"` // its profile; nil: it has none
}

// programs are where distributions have charon.
var programs = []string{
	"/usr/lib/ipsec/charon", "/usr/libexec/ipsec/charon", "/usr/lib/strongswan/charon", "/usr/libexec/strongswan/charon",
	"/usr/sbin/charon-systemd", "/usr/bin/charon-systemd", "/usr/local/libexec/ipsec/charon", "/usr/local/sbin/charon-systemd",
}

// findCharons returns the charon that is named, or those that run or are installed.
func (c *checker) findCharons() (found []Charon) {
	add := func(path string, running bool) {
		target, err := filepath.EvalSymlinks(c.at(path))
		if err != nil {
			return
		}
		target = "/" + strings.TrimPrefix(strings.TrimPrefix(target, c.Root), "/")
		i := slices.IndexFunc(found, func(k Charon) bool { return k.Path == target })
		if i < 0 {
			found = append(found, Charon{Path: target, Running: running})
		}
	}
	if c.Config.Charon != "" {
		add(c.Config.Charon, false)
		return found
	}
	exes, _ := filepath.Glob(c.at("/proc/[0-9]*/exe"))
	for _, link := range exes {
		exe, err := os.Readlink(link)
		if base := filepath.Base(exe); err == nil && (base == "charon" || base == "charon-systemd") {
			add(exe, true)
		}
	}
	for _, p := range programs {
		add(p, false)
	}
	return found
}

// charon looks at one charon, and at what keeps it from loading the libraries.
func (c *checker) charon(k *Charon, objects []object) {
	program, err := c.readObject(k.Path)
	if err != nil {
		c.add(profile.Error, "", "%s is no program: %v", k.Path, err)
		return
	}
	k.Libc, k.Machine = program.libc, program.machine
	state := "is installed"
	if k.Running {
		state = "runs"
	}
	c.add(profile.OK, "", "%s %s: %s, %s", k.Path, state, k.Machine, or(k.Libc, "another C library"))
	c.plugins(k)
	for i := range objects {
		o := &objects[i]
		if !o.usable {
			continue
		}
		if why, remedy := o.mismatch(&program); why != "" {
			c.add(profile.Error, remedy, "%s cannot open %s: %s", k.Path, o.entry.Path, why)
		}
	}
	c.appArmor(k, objects)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// pluginFolders are where the plugins of a charon may be, from its folder.
var pluginFolders = []string{"plugins", "../../lib/ipsec/plugins", "../../lib64/ipsec/plugins", "../lib/ipsec/plugins", "../lib64/ipsec/plugins",
	"../../lib/strongswan/plugins", "../../lib64/strongswan/plugins", "../lib/strongswan/plugins", "../lib64/strongswan/plugins"}

// needed are the plugins that load IMCs and carry what they say: one of each line.
var needed = [][]string{{"tnc-imc"}, {"tnc-tnccs"}, {"tnccs-20", "tnccs-11", "tnccs-dynamic"}, {"eap-tnc"}, {"eap-ttls", "eap-peap"}}

// plugins looks for the plugins of a charon, and whether its settings load them.
func (c *checker) plugins(k *Charon) {
	compiled := c.compiledIn(k)
	for _, dir := range pluginFolders {
		dir = filepath.Join(filepath.Dir(k.Path), dir)
		if st, err := os.Stat(c.at(dir)); err == nil && st.IsDir() {
			k.Plugins = dir
			break
		}
	}
	if k.Plugins == "" && len(compiled) == 0 {
		c.add(profile.Warning, "", "the plugins of %s are not found: whether it loads IMCs is not known", k.Path)
		return
	}
	has := func(name string) bool {
		_, err := os.Stat(c.at(filepath.Join(k.Plugins, "libstrongswan-"+name+".so")))
		return k.Plugins != "" && err == nil || slices.Contains(compiled, strings.ReplaceAll(name, "-", "_")+"_plugin_create")
	}
	for _, names := range needed {
		if i := slices.IndexFunc(names, has); i < 0 {
			k.Missing = append(k.Missing, names[0])
		} else if why := c.notLoaded(k, names[i]); why != "" {
			c.add(profile.Error, "", "%s does not load the plugin %s: %s", k.Path, names[i], why)
		}
	}
	switch {
	case len(k.Missing) == 0:
		c.add(profile.OK, "", "%s has the plugins that load IMCs", k.Path)
	case slices.Contains(k.Missing, "tnc-imc"):
		c.add(profile.Error, "build strongSwan with --enable-tnc-imc --enable-tnccs-20 --enable-eap-tnc --enable-eap-ttls, or use tnc, which needs no charon",
			"%s loads no IMC: it lacks the plugins %s, as Debian's does", k.Path, strings.Join(k.Missing, ", "))
	default:
		c.add(profile.Error, "install or build them: --enable-"+strings.Join(k.Missing, " --enable-"), "%s lacks the plugins %s", k.Path, strings.Join(k.Missing, ", "))
	}
}

// compiledIn returns the constructors of plugins that are part of libcharon, where
// strongSwan was built as one piece.
func (c *checker) compiledIn(k *Charon) (names []string) {
	for _, dir := range pluginFolders {
		e, err := elf.Open(c.at(filepath.Join(filepath.Dir(k.Path), dir, "..", "libcharon.so.0")))
		if err != nil {
			continue
		}
		symbols, _ := e.DynamicSymbols()
		for _, s := range symbols {
			if s.Section != elf.SHN_UNDEF && strings.HasSuffix(s.Name, "_plugin_create") {
				names = append(names, s.Name)
			}
		}
		e.Close()
		break
	}
	return names
}

func isYes(v config.Value) bool {
	yes, err := v.Bool()
	return err == nil && yes
}

// notLoaded returns the setting that keeps a plugin from being loaded; "" for none.
func (c *checker) notLoaded(k *Charon, plugin string) string {
	if c.Strongswan == nil {
		return ""
	}
	v := c.Strongswan.View(filepath.Base(k.Path), "charon")
	// These are settings of strongSwan that nothing else here reads.
	text := func(key string) string {
		val, _ := v.Lookup(key)
		return val.Text
	}
	if modular, _ := v.Lookup("load_modular"); isYes(modular) {
		switch load := text("plugins." + plugin + ".load"); load {
		case "", "no", "false", "0", "disabled":
			return "charon.load_modular is on and charon.plugins." + plugin + ".load is not"
		}
		return ""
	}
	if list := text("load"); list != "" && !slices.ContainsFunc(strings.Fields(list), func(s string) bool { return strings.TrimSuffix(s, "!") == plugin }) {
		return "it is not in charon.load"
	}
	return ""
}
