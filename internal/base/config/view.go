package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// View reads settings through namespaces: a key is looked up below each of
// them in turn, the first that has it wins. strongSwan's libraries fall back
// this way; the settings of an IMC, for instance, are
//
//	cfg.View("charon", "libimcv").Bool("plugins.imc-os.push_info", true)
//
// for charon.plugins.imc-os.push_info, else libimcv.plugins.imc-os.push_info.
//
// A value that cannot be used leaves the default in place, as with
// strongSwan, and is kept for Config.Warnings. A View is safe for concurrent
// use; the zero View yields defaults.
type View struct {
	cfg        *Config
	namespaces []string
}

// View returns a View through these namespaces (dotted section names, "" for
// the top), the first one first. What is preferred to one comes before it.
func (c *Config) View(namespaces ...string) View {
	v := View{cfg: c}
	for _, ns := range namespaces {
		top, rest, _ := strings.Cut(ns, ".")
		if over, ok := c.prefer[top]; ok {
			v.namespaces = append(v.namespaces, strings.TrimSuffix(join(over, rest), "."))
		}
		v.namespaces = append(v.namespaces, ns)
	}
	return v
}

// Prefer lets every View look into the top-level section over before it looks
// into section, as the programs of strongSwan do whose settings are in a section
// of their own: charon-systemd before charon. It is for the one that loaded c,
// before it is used.
func (c *Config) Prefer(over, section string) {
	if c.prefer == nil {
		c.prefer = map[string]string{}
	}
	c.prefer[section] = over
}

// Preferred returns what is looked up before a section; "" for nothing.
func (c *Config) Preferred(section string) string {
	if c == nil {
		return ""
	}
	return c.prefer[section]
}

// Below returns the View of a subsection: v.Below("plugins").Lookup("x") is
// v.Lookup("plugins.x").
func (v View) Below(section string) View {
	n := View{cfg: v.cfg}
	for _, ns := range v.namespaces {
		n.namespaces = append(n.namespaces, join(ns, section))
	}
	return n
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// Lookup returns the value of a dotted key.
func (v View) Lookup(key string) (Value, bool) {
	if v.cfg == nil {
		return Value{}, false
	}
	for _, ns := range v.namespaces {
		if val, ok := v.cfg.find(join(ns, key)); ok {
			return val, !val.cleared
		}
	}
	return Value{}, false
}

// Sections returns the names of a section's subsections in all namespaces.
func (v View) Sections(key string) []string {
	if v.cfg == nil {
		return nil
	}
	var names []string
	seen := make(map[string]bool)
	for _, ns := range v.namespaces {
		path := ns
		if key != "" {
			path = join(ns, key)
		}
		for _, n := range v.cfg.Node(path).Sections() {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	return names
}

// String returns the text of a key, def where it is not set.
func (v View) String(key, def string) string {
	if val, ok := v.Lookup(key); ok {
		return val.Text
	}
	return def
}

// OneOf returns a text that is one of the choices, the first of which is the
// default; another text is a warning.
func (v View) OneOf(key string, choices ...string) string {
	return read(v, key, choices[0], func(val Value) (string, error) {
		if !slices.Contains(choices, val.Text) {
			return "", val.Errorf("%s = %s: not one of %s", val.Key, val.Text, strings.Join(choices, ", "))
		}
		return val.Text, nil
	})
}

// Bool returns a yes or no.
func (v View) Bool(key string, def bool) bool { return read(v, key, def, Value.Bool) }

// Int returns a number.
func (v View) Int(key string, def int) int { return v.IntIn(key, def, math.MinInt, math.MaxInt) }

// IntIn returns a number from min to max; one outside is a warning and leaves
// the default.
func (v View) IntIn(key string, def, min, max int) int {
	return read(v, key, def, func(val Value) (int, error) {
		n, err := val.Int()
		if err == nil && (n < int64(min) || n > int64(max)) {
			err = val.Errorf("%s = %d: not between %d and %d", val.Key, n, min, max)
		}
		return int(n), err
	})
}

// Float returns a floating-point number.
func (v View) Float(key string, def float64) float64 { return read(v, key, def, Value.Float) }

// Duration returns a time.
func (v View) Duration(key string, def time.Duration) time.Duration {
	return read(v, key, def, Value.Duration)
}

// List returns the items of a comma-separated value, nil where it is not set.
func (v View) List(key string) []string {
	if val, ok := v.Lookup(key); ok {
		return val.List()
	}
	return nil
}

func read[T any](v View, key string, def T, as func(Value) (T, error)) T {
	val, ok := v.Lookup(key)
	if !ok {
		return def
	}
	t, err := as(val)
	if err != nil {
		v.cfg.warn(val.Errorf("%w; the default applies", bare(err)))
		return def
	}
	return t
}

// bare takes the place off an error that gets it again.
func bare(err error) error {
	if e, ok := err.(*Error); ok {
		return e.Err
	}
	return err
}
