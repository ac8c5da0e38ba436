package ipsecconf

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// section is "config setup", "conn name" or "ca name". Several sections of one
// name are one.
type section struct {
	kind, name string
	pos        config.Pos
	values     map[string]config.Value // Text "" hides what the section inherits
	order      []string                // keys as they appear
	also       []config.Value          // sections that it inherits from, the last one first
}

func (s *section) set(v config.Value) {
	if _, ok := s.values[v.Key]; !ok {
		s.order = append(s.order, v.Key)
	}
	s.values[v.Key] = v
}

type parser struct {
	cfg      *config.Config // takes the warnings
	sections []*section
	current  *section
	files    int
}

func (p *parser) find(kind, name string) *section {
	for _, s := range p.sections {
		if s.kind == kind && s.name == name {
			return s
		}
	}
	return nil
}

// names lists the sections of a kind.
func (p *parser) names(kind string) (all []string) {
	for _, s := range p.sections {
		if s.kind == kind && s.name != "%default" {
			all = append(all, s.name)
		}
	}
	return all
}

func (p *parser) open(kind, name string, pos config.Pos) {
	if p.current = p.find(kind, name); p.current == nil {
		p.current = &section{kind: kind, name: name, pos: pos, values: map[string]config.Value{}}
		p.sections = append(p.sections, p.current)
	}
}

func (p *parser) file(path string, depth int) error {
	if p.files++; p.files > maxFiles {
		return fmt.Errorf("%s: more than %d files included", path, maxFiles)
	}
	text, err := read(path)
	if err != nil {
		return err
	}
	p.cfg.AddFile(path)
	if depth > maxIncludes {
		return fmt.Errorf("%s: includes are nested deeper than %d", path, maxIncludes)
	}
	if err := config.CheckEncoding(path, text); err != nil {
		return err
	}
	l := newLexer(path, text)
	for {
		s, ok, err := l.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if len(s.tokens) > 0 {
			if err := p.statement(s); err != nil {
				return err
			}
		}
		for _, i := range s.include {
			for _, file := range includes(p.cfg, path, i.text, i.pos) {
				if err := p.file(file, depth+1); err != nil {
					return err
				}
			}
		}
	}
}

// statement reads "conn name", "ca name", "config setup" or a setting. As with
// strongSwan a setting has to be indented, and a value with '=' in it quoted.
func (p *parser) statement(s statement) error {
	ts := s.tokens
	if !s.indented && ts[0].kind == word {
		switch head := ts[0].text; {
		case head == "config" && len(ts) > 1 && ts[1].text == "setup":
			p.open("config", "setup", s.pos)
			return nil
		case head == "conn" || head == "ca":
			if len(ts) < 2 || ts[1].kind != word || ts[1].text == "" {
				return s.pos.Errorf("%s without a name: write %s NAME", head, head)
			}
			if len(ts) > 2 {
				return s.pos.Errorf("%s %s: more than a name follows", head, ts[1].text)
			}
			p.open(head, ts[1].text, s.pos)
			return nil
		case len(ts) > 1 && ts[1].kind == equal:
			return s.pos.Errorf("setting %q starts in the first column: indent it below its section", head)
		}
		return s.pos.Errorf("%q is no section: config setup, conn NAME and ca NAME are", ts[0].text)
	}
	if len(ts) < 2 || ts[0].kind != word || ts[1].kind != equal || ts[0].text == "" {
		return s.pos.Errorf("%q is no setting: write key=value", text(ts))
	}
	v := config.Value{Key: ts[0].text, Pos: s.pos}
	words := make([]string, 0, len(ts)-2)
	for _, t := range ts[2:] {
		if t.kind == equal {
			return s.pos.Errorf("the value of %q holds a '=': put it into double quotes", v.Key)
		}
		words = append(words, t.text)
	}
	v.Text = strings.Join(words, " ")
	switch {
	case p.current == nil:
		return s.pos.Errorf("setting %q stands before any section: config setup, conn NAME or ca NAME", v.Key)
	case v.Key == "also":
		if v.Text != "" && v.Text != "%default" {
			p.current.also = append([]config.Value{v}, p.current.also...)
		}
	default:
		p.current.set(v)
	}
	return nil
}

// text writes tokens as they were, for an error.
func text(ts []token) string {
	var b strings.Builder
	for i, t := range ts {
		if i > 0 && t.kind == word && ts[i-1].kind == word {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// includes returns the files that an include means, sorted. As with strongSwan
// none is no error: the warning says so.
func includes(cfg *config.Config, from, pattern string, pos config.Pos) []string {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		cfg.Warn(pos.Errorf("include %s: %w", pattern, err))
	} else if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		cfg.Warn(pos.Errorf("include %s: there is no such file", pattern))
	}
	return files
}

// parents returns the sections that s inherits from, the most important one
// first and %default last: depth first, each where it occurs last. Two sections
// that are named in different orders by others are read in the order of the
// nearer one.
func (p *parser) parents(s *section, above []*section) ([]*section, error) {
	above = append(above, s)
	var all []*section
	for _, also := range s.also {
		other := p.find(s.kind, also.Text)
		if other == nil {
			return nil, also.Errorf("also = %s: there is no such %s: add it, or take also out%s", also.Text, s.kind, config.Suggest(also.Text, p.names(s.kind)))
		}
		if slices.Contains(above, other) {
			return nil, also.Errorf("also = %s: %s %s includes itself", also.Text, s.kind, s.name)
		}
		if len(above) > maxIncludes {
			return nil, also.Errorf("also is nested deeper than %d", maxIncludes)
		}
		grand, err := p.parents(other, above)
		if err != nil {
			return nil, err
		}
		if all = append(append(all, other), grand...); len(all) > maxParents {
			return nil, also.Errorf("%s %s inherits from more than %d sections", s.kind, s.name, maxParents)
		}
	}
	if def := p.find(s.kind, "%default"); def != nil && def != s && len(all) == 0 {
		all = append(all, def)
	}
	var out []*section
	for i, a := range all {
		if !slices.Contains(all[i+1:], a) {
			out = append(out, a)
		}
	}
	return out, nil
}

// merged returns the values of a section with what it inherits.
func (p *parser) merged(s *section) (map[string]config.Value, error) {
	parents, err := p.parents(s, nil)
	if err != nil {
		return nil, err
	}
	out, order := map[string]config.Value{}, map[string]int{}
	for _, from := range append([]*section{s}, parents...) {
		for _, k := range slices.Sorted(maps.Keys(from.values)) {
			if _, ok := out[k]; !ok {
				out[k], order[k] = from.values[k], len(order)
			}
		}
	}
	for _, pair := range synonyms {
		a, b := out[pair[0]], out[pair[1]]
		switch {
		case a.Text == "" || b.Text == "":
		case order[pair[0]] < order[pair[1]]:
			delete(out, pair[0])
		default:
			delete(out, pair[1])
		}
	}
	return out, nil
}

// synonyms are two keywords of one setting. strongSwan reads the values of a
// section in the order of their names, and those that it inherits after its own;
// the last one counts.
var synonyms = [][2]string{
	{"keylife", "lifetime"}, {"margintime", "rekeymargin"}, {"leftsubnet", "leftsubnetwithin"}, {"rightsubnet", "rightsubnetwithin"},
	{"leftrsasigkey", "leftsigkey"}, {"rightrsasigkey", "rightsigkey"},
}
