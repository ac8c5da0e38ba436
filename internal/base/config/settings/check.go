package settings

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
	printable "github.com/gotnc/gotnc/internal/base/text"
)

// ours are the sections whose settings are meant for this module; others are of
// other programs of strongSwan.
var ours = []string{"charon", "tnc", "libimcv", "libtls", "libtnccs"}

// Check returns a complaint with file and line about each setting of cfg that
// has no effect: one that is not known, one of strongSwan that nothing here reads,
// or one whose text cannot be used. Settings of IMCs other than this module's are
// theirs to judge. Values of other kinds that cannot be used are in cfg's Warnings
// afterwards.
func Check(cfg *config.Config) (complaints []*config.Error) {
	for _, s := range all {
		if s.validate != nil {
			s.validate(cfg)
		}
	}
	named := map[string]bool{} // an inherited value is named once
	var walk func(n *config.Node)
	walk = func(n *config.Node) {
		for _, v := range n.Values() {
			place := v.Pos.String() + v.Key
			if e := complain(n.Path(), v); e != nil && !named[place] {
				named[place] = true
				complaints = append(complaints, e)
			}
		}
		for _, name := range n.Sections() {
			walk(n.Sub(name))
		}
	}
	for _, name := range ours {
		walk(cfg.Node(name))
	}
	if name := cfg.Preferred("charon"); name != "" {
		walk(cfg.Node(name))
	}
	return append(complaints, notInForce(cfg)...)
}

// Programs are those of strongSwan that read a section of their own before charon.
var Programs = []string{"charon-systemd", "charon-nm", "charon-cmd", "charon-svc"}

// notInForce names what is set for another program of strongSwan.
func notInForce(cfg *config.Config) (complaints []*config.Error) {
	for _, name := range Programs {
		if name == cfg.Preferred("charon") {
			continue
		}
		var walk func(n *config.Node)
		walk = func(n *config.Node) {
			for _, v := range n.Values() {
				if _, ok := known("charon" + strings.TrimPrefix(n.Path()+"."+v.Key, name)); ok {
					complaints = append(complaints, v.Errorf("setting %s.%s is not in force: it is for the program %s; write it into charon", n.Path(), v.Key, name))
				}
			}
			for _, s := range n.Sections() {
				walk(n.Sub(s))
			}
		}
		walk(cfg.Node(name))
	}
	return complaints
}

// complain returns what is wrong with a value of a section, nil where it is read.
func complain(section string, v config.Value) *config.Error {
	name := section + "." + v.Key
	name = inCharon(name)
	if s, ok := known(name); ok {
		return s.unusable(v)
	}
	if why, ok := whyUnread(name); ok {
		if why != "" {
			why = ": " + why
		}
		return v.Errorf("setting %s of strongSwan does nothing here%s", name, why)
	}
	switch plugin := pluginOf(section); {
	case plugin == "":
	case v.Key == "load" && truthy(v):
		return nil // what the plugin does is built in, or the settings beside say what is not
	case v.Key == "load":
		return v.Errorf("setting %s of strongSwan does nothing here: there are no plugins to load", name)
	case plugins[plugin]:
	case strings.HasPrefix(plugin, "imc-"):
		return nil
	case strings.HasPrefix(plugin, "imv-"):
		return v.Errorf("setting %s of strongSwan does nothing here: only a verifier has it", name)
	default:
		return v.Errorf("setting %s does nothing here: there is no plugin %s", name, plugin)
	}
	if name == "libimcv.load" {
		return nil // of strongSwan's IMCs
	}
	return v.Errorf("setting %q is not known in %s%s", v.Key, section, suggest(inCharon(section), v.Key))
}

// unusable returns what a value of the setting must be, nil where it can be used.
func (s Setting) unusable(v config.Value) *config.Error {
	if s.problem == nil || v.Text == "" {
		return nil
	}
	why := s.problem(v.Text)
	if why == "" {
		return nil
	}
	return v.Errorf("%s = %s cannot be used: %s", v.Key, strconv.Quote(printable.Clip(v.Text, 64)), why)
}

// suggest returns the setting of the section that a name is probably meant to be.
func suggest(section, key string) string {
	var names []string
	for _, s := range all {
		for _, n := range s.Names {
			if rest, ok := strings.CutPrefix(n, section+"."); ok && !strings.Contains(rest, ".") {
				names = append(names, rest)
			}
		}
	}
	for _, u := range unread {
		for n := range strings.FieldsSeq(u.names) {
			if rest, ok := strings.CutPrefix(n, section+"."); ok && !strings.Contains(rest, ".") {
				names = append(names, rest)
			}
		}
	}
	if s := config.Suggest(key, names); s != "" {
		return s
	}
	return ": take it out"
}

// inCharon returns the name that a setting of another program has in charon.
func inCharon(name string) string {
	for _, p := range Programs {
		if rest, ok := strings.CutPrefix(name, p+"."); ok {
			return "charon." + rest
		}
	}
	return name
}

// pluginOf returns the plugin whose section it is, or is below; "" for none.
func pluginOf(section string) string {
	e := strings.Split(section, ".")
	if i := slices.Index(e, "plugins"); i == 1 && len(e) > 2 {
		return e[2]
	}
	return ""
}

// truthy reports whether a plugin is to be loaded: yes, or with a priority.
func truthy(v config.Value) bool {
	if yes, err := v.Bool(); err == nil {
		return yes
	}
	n, err := strconv.Atoi(v.Text)
	return err == nil && n > 0
}
