// Package settings is the table of the settings of strongswan.conf that this
// module reads: key, type, default, unit, sentence, and who reads it. Each entry
// is a variable with the type of its value, through which alone it is read:
//
//	port := settings.Port.In(cfg)
//
// The table feeds `tnc config check` (Check) and docs/settings.md (Reference). A
// test fails where nothing outside this package uses a variable, or where a key
// is read without one.
package settings

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
	printable "github.com/gotnc/gotnc/internal/base/text"
)

// Setting is one entry of the table.
type Setting struct {
	// Key is the name below the Sections, as readers of an IMC's settings ask
	// for it: "retransmit_tries", "plugins.imc-os.push_info".
	Key string
	// Names are the full names, the one that is looked up first in front. An
	// element <name> stands for any name.
	Names   []string
	Type    string // "yes or no", "number", …
	Unit    string // "seconds", "octets"; "" = none
	Default string // as it would be written; "" = not set
	Doc     string // what it does, one sentence
	Group   Group
	Reader  string // program that reads it: "tnc", "imc-attestation.so"
	Own     bool   // strongSwan has no such setting

	validate func(*config.Config) // leaves what is wrong in the Warnings
	problem  problem              // nil = any text can be used
}

// Group is a part of the table.
type Group string

// The groups, in the order of the reference.
const (
	IKE       Group = "IKE and the tunnel"
	EAP       Group = "EAP"
	TNC       Group = "TNC client"
	Mutual    Group = "Mutual measurement"
	IMC       Group = "Attestation IMC"
	Measuring Group = "Attestation IMC: what a verifier may ask for"
)

// all is the table in the order of its variables.
var all []*Setting

// All returns the table.
func All() []Setting {
	out := make([]Setting, len(all))
	for i, s := range all {
		out[i] = *s
	}
	return out
}

// scope is where a group of settings is looked up.
type scope struct {
	group    Group
	sections []string // looked up in turn
	prefix   string   // of the keys below them
	// alias stands before the keys where a reader asks for them by another name:
	// imcv.os_info.name is charon.imcv.os_info.name or libimcv.os_info.name.
	alias string
	own   bool
}

func (s scope) add(key, typ, unit, def, doc string) base {
	key = s.prefix + key
	e := &Setting{Key: s.alias + key, Type: typ, Unit: unit, Default: def, Doc: doc, Group: s.group, Reader: "tnc", Own: s.own}
	if s.group == IMC || s.group == Measuring {
		e.Reader = "imc-attestation.so"
	}
	for _, section := range s.sections {
		e.Names = append(e.Names, section+"."+key)
	}
	all = append(all, e)
	return base{e, s, key}
}

func (s scope) mine() scope { s.own = true; return s }

// base is what all handles have in common.
type base struct {
	entry *Setting
	scope scope
	key   string // below the sections
}

// view returns where the setting is looked up in cfg.
func (b base) view(cfg *config.Config) config.View { return cfg.View(b.scope.sections...) }

// last returns the last element of the key.
func (b base) last() string { return b.key[strings.LastIndexByte(b.key, '.')+1:] }

// Lookup returns the value as it is written.
func (b base) Lookup(cfg *config.Config) (config.Value, bool) { return b.view(cfg).Lookup(b.key) }

// YesNo is a setting that is yes or no.
type YesNo struct {
	base
	def bool
}

func (s scope) yesNo(key string, def bool, doc string) YesNo {
	text := "no"
	if def {
		text = "yes"
	}
	y := YesNo{s.add(key, "yes or no", "", text, doc), def}
	y.entry.validate = func(cfg *config.Config) { y.In(cfg) }
	return y
}

// In returns the value in cfg, else the default.
func (y YesNo) In(cfg *config.Config) bool { return y.view(cfg).Bool(y.key, y.def) }

// Read returns the value in the settings of an IMC, else the default.
func (y YesNo) Read(from interface{ Bool(string, bool) bool }) bool {
	return from.Bool(y.entry.Key, y.def)
}

// Choice is a setting that is one of a few words.
type Choice struct {
	base
	words []string
}

// oneOf is a choice of words, the first of which is the default.
func (s scope) oneOf(key string, words []string, doc string) Choice {
	c := Choice{s.add(key, strings.Join(words, ", "), "", words[0], doc), words}
	c.entry.validate = func(cfg *config.Config) { c.In(cfg) }
	return c
}

// In returns the word in cfg, else the default.
func (c Choice) In(cfg *config.Config) string { return c.view(cfg).OneOf(c.key, c.words...) }

// Text is a setting that is text.
type Text struct {
	base
	def string
}

func (s scope) text(key, def, doc string) Text {
	return Text{s.add(key, "text", "", def, doc), def}
}

// textOf is a text of a kind: "handle in hex".
func (s scope) textOf(kind, key, chosen, doc string) Text {
	return Text{s.add(key, kind, "", chosen, doc), ""}
}

// In returns the value in cfg, else the default.
func (t Text) In(cfg *config.Config) string { return t.view(cfg).String(t.key, t.def) }

// Read returns the value in the settings of an IMC, else the default.
func (t Text) Read(from interface{ String(string, string) string }) string {
	return from.String(t.entry.Key, t.def)
}

// At returns the value in the section that the key's <name> stands for.
func (t Text) At(section config.View) string { return section.String(t.last(), t.def) }

// Key returns the key as Read asks for it.
func (t Text) Key() string { return t.entry.Key }

// Number is a setting that is a whole number of a range.
type Number struct {
	base
	def, min, max int
}

func (s scope) number(key, unit string, def, least, most int, doc string) Number {
	n := s.optional(key, unit, least, most, strconv.Itoa(def), doc)
	n.def = def
	return n
}

// optional is a number that the reader chooses where it is not set.
func (s scope) optional(key, unit string, least, most int, chosen, doc string) Number {
	n := Number{s.add(key, "number", unit, chosen, doc), 0, least, most}
	n.entry.validate = func(cfg *config.Config) { n.In(cfg) }
	return n
}

// In returns the value in cfg, else the default.
func (n Number) In(cfg *config.Config) int { return n.Or(cfg, n.def) }

// Or returns the value in cfg, else def.
func (n Number) Or(cfg *config.Config, def int) int {
	return n.view(cfg).IntIn(n.key, def, n.min, n.max)
}

// Read returns the value in the settings of an IMC, else the default. The range
// is the reader's to check.
func (n Number) Read(from interface{ Int(string, int) int }) int {
	return from.Int(n.entry.Key, n.def)
}

// Decimal is a setting that is a decimal number of a range.
type Decimal struct {
	base
	def, min, max float64
}

func (s scope) decimal(key, unit string, def, least, most float64, doc string) Decimal {
	d := Decimal{s.add(key, "decimal number", unit, strconv.FormatFloat(def, 'g', -1, 64), doc), def, least, most}
	d.entry.validate = func(cfg *config.Config) { d.In(cfg) }
	return d
}

// In returns the value in cfg, else the default.
func (d Decimal) In(cfg *config.Config) float64 {
	v := d.view(cfg)
	f := v.Float(d.key, d.def)
	if f >= d.min && f <= d.max {
		return f
	}
	if val, ok := v.Lookup(d.key); ok {
		unit := d.entry.Unit
		if unit != "" {
			unit = " " + unit
		}
		cfg.Warn(val.Errorf("%s = %s: not between %g and %g%s; the default applies", val.Key, strconv.Quote(printable.Clip(val.Text, 64)), d.min, d.max, unit))
	}
	return d.def
}

// Seconds returns the value in cfg as a time, else the default.
func (d Decimal) Seconds(cfg *config.Config) time.Duration {
	return time.Duration(d.In(cfg) * float64(time.Second))
}

// Time is a setting that is a time with or without unit: 30, 30s, 5m, 4h, 1d.
type Time struct {
	base
	def time.Duration
}

func (s scope) time(key string, def time.Duration, chosen, doc string) Time {
	if chosen == "" {
		chosen = strconv.Itoa(int(def / time.Second))
	}
	t := Time{s.add(key, "time", "seconds", chosen, doc), def}
	t.entry.validate = func(cfg *config.Config) { t.In(cfg) }
	return t
}

// In returns the value in cfg, else the default.
func (t Time) In(cfg *config.Config) time.Duration { return t.Or(cfg, t.def) }

// Or returns the value in cfg, else def.
func (t Time) Or(cfg *config.Config, def time.Duration) time.Duration {
	return t.view(cfg).Duration(t.key, def)
}

const noLimit = math.MaxInt32

// known returns the setting of that full name.
func known(name string) (Setting, bool) {
	for _, s := range all {
		if slices.ContainsFunc(s.Names, func(pattern string) bool { return matches(pattern, name) }) {
			return *s, true
		}
	}
	return Setting{}, false
}

// matches compares a name with a pattern, where <name> is any element.
func matches(pattern, name string) bool {
	if !strings.Contains(pattern, "<") {
		return pattern == name
	}
	p, n := strings.Split(pattern, "."), strings.Split(name, ".")
	return slices.EqualFunc(p, n, func(p, n string) bool { return p == n || strings.HasPrefix(p, "<") })
}
