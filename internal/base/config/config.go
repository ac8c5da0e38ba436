// Package config reads the grammar that strongswan.conf and swanctl.conf
// share (strongswan.conf(5)): nested sections, key = value, includes with
// wildcards, sections that inherit from others by reference, quoted strings.
// Every value knows the file and line that it stands in, and every complaint
// names them.
//
// A Config is read-only once loaded and safe for concurrent use.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"
	"sync"
)

// DefaultFile is where strongSwan's programs look when STRONGSWAN_CONF is not
// set.
const DefaultFile = "/etc/strongswan.conf"

// Env names the environment variable that overrides DefaultFile.
const Env = "STRONGSWAN_CONF"

// Limits on what is read. They are far above any real configuration and only
// keep a wrong file (a device, a loop of includes) from eating the machine.
const (
	MaxFileSize     = 4 << 20 // octets of one file
	MaxTotalSize    = 32 << 20
	MaxFiles        = 1000 // files, with all includes
	MaxIncludeDepth = 32   // includes inside includes
	MaxDepth        = 64   // sections inside sections
	MaxEntries      = 200_000
	maxLayers       = 1000 // sections that contribute to one lookup through references
)

// Pos is a place in a file. The zero Pos is unknown.
type Pos struct {
	File string
	Line int // from 1
}

// String returns "file:line".
func (p Pos) String() string {
	if p.File == "" && p.Line == 0 {
		return "(unknown place)"
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Errorf returns an *Error at this place.
func (p Pos) Errorf(format string, args ...any) *Error {
	return &Error{Pos: p, Err: fmt.Errorf(format, args...)}
}

// Error is a complaint about one place of a configuration file.
type Error struct {
	Pos Pos
	Err error
}

// Error returns "file:line: what".
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Err.Error() }

// Unwrap returns what is wrong without the place.
func (e *Error) Unwrap() error { return e.Err }

// Section is one section as the files state it: references are not followed.
// Use Config.Node to read with inheritance.
type Section struct {
	Name string // "" for the top
	Pos  Pos    // where it first appears
	Refs []Ref

	values   []*Value
	sections []*Section
	byKey    map[string]*Value
	byName   map[string]*Section
}

// Ref is a section that another one inherits from, by its absolute name.
type Ref struct {
	Name string
	Pos  Pos
}

func newSection(name string, pos Pos) *Section { return &Section{Name: name, Pos: pos} }

func (s *Section) child(name string, pos Pos) (_ *Section, isNew bool) {
	if c := s.byName[name]; c != nil {
		return c, false
	}
	c := newSection(name, pos)
	if s.byName == nil {
		s.byName = make(map[string]*Section)
	}
	s.byName[name] = c
	s.sections = append(s.sections, c)
	return c, true
}

func (s *Section) set(v Value) {
	if old := s.byKey[v.Key]; old != nil {
		*old = v // a later file or line replaces the value and keeps its order
		return
	}
	if s.byKey == nil {
		s.byKey = make(map[string]*Value)
	}
	p := &v
	s.byKey[v.Key] = p
	s.values = append(s.values, p)
}

func (s *Section) addRef(r Ref) {
	for _, have := range s.Refs {
		if have.Name == r.Name {
			return
		}
	}
	s.Refs = append(s.Refs, r)
}

// Config is a loaded configuration.
type Config struct {
	top    *Section
	files  []string
	prefer map[string]string // section: what is looked up before it

	mu       sync.Mutex
	warnings []*Error
	warned   map[string]bool
}

// New returns an empty configuration: every lookup yields its default.
func New() *Config { return &Config{top: newSection("", Pos{})} }

// Load reads the file at path and everything that it includes. The error is
// an *Error where a line is at fault; errors.Is(err, fs.ErrNotExist) tells
// that the file itself is missing.
func Load(path string) (*Config, error) { return Options{}.Load(path) }

// Parse reads text as if it were the contents of a file of that name.
func Parse(name, text string) (*Config, error) { return Options{}.Parse(name, text) }

// LoadDefault reads the file that the environment variable STRONGSWAN_CONF
// names, else DefaultFile. As with strongSwan a missing file is an empty
// configuration; where STRONGSWAN_CONF names it, a warning says so.
func LoadDefault() (*Config, error) {
	path, named := os.LookupEnv(Env)
	if path == "" {
		path, named = DefaultFile, false
	}
	c, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		c = New()
		if named {
			c.warn(Pos{path, 0}.Errorf("no such file (named by the environment variable %s); defaults apply", Env))
		}
		return c, nil
	}
	return c, err
}

// Files returns the files that were read, in order.
func (c *Config) Files() []string { return append([]string(nil), c.files...) }

// AddFile records a file that a reader of another grammar read.
func (c *Config) AddFile(path string) { c.files = append(c.files, path) }

// Top returns the top section as the files state it.
func (c *Config) Top() *Section { return c.top }

// Warnings returns what is suspicious but did not stop loading, and values
// that lookups so far could not use, sorted by place.
func (c *Config) Warnings() []*Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := append([]*Error(nil), c.warnings...)
	sort.SliceStable(w, func(i, j int) bool {
		if w[i].Pos.File != w[j].Pos.File {
			return w[i].Pos.File < w[j].Pos.File
		}
		return w[i].Pos.Line < w[j].Pos.Line
	})
	return w
}

// Warn adds a complaint that a reader of the configuration found; equal ones
// are kept once.
func (c *Config) Warn(e *Error) { c.warn(e) }

func (c *Config) warn(e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := e.Error()
	if c.warned[text] {
		return
	}
	if c.warned == nil {
		c.warned = make(map[string]bool)
	}
	c.warned[text] = true
	c.warnings = append(c.warnings, e)
}

// Node returns the section of that dotted name ("charon.plugins.eap-ttls",
// "" for the top) with everything that it inherits by reference. It is never
// nil: a section that is not there has no values.
func (c *Config) Node(path string) *Node {
	n := &Node{cfg: c, layers: []*Section{c.top}}
	if path != "" {
		r := &resolver{cfg: c}
		n.layers = r.resolve(path)
		n.path = path
		_, n.name = splitKey(path)
	}
	return n
}

// Lookup returns the value of a dotted key ("charon.port"), following
// references. A value that an empty assignment cleared counts as not set.
func (c *Config) Lookup(key string) (Value, bool) {
	v, found := c.find(key)
	return v, found && !v.cleared
}

// find also finds a cleared value, which ends a search.
func (c *Config) find(key string) (Value, bool) {
	section, name := splitKey(key)
	return c.Node(section).find(name)
}

func splitKey(key string) (section, name string) {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

// resolver collects the sections that contribute to a name: itself, then what
// it references, then what its parents' references hold under that name.
type resolver struct {
	cfg     *Config
	pending []string // references being followed, against loops
	work    int
}

func (r *resolver) resolve(path string) []*Section {
	layers := []*Section{r.cfg.top}
	for _, name := range strings.Split(path, ".") {
		if layers = r.step(layers, name); len(layers) == 0 {
			return nil
		}
	}
	return layers
}

// step returns the contributors to the subsection name of the sections in.
func (r *resolver) step(in []*Section, name string) []*Section {
	var out []*Section
	add := func(s *Section) bool {
		for _, have := range out {
			if have == s {
				return false
			}
		}
		r.work++
		if r.work > maxLayers {
			return false
		}
		out = append(out, s)
		return true
	}
	for _, s := range in {
		sub := s.byName[name]
		if sub == nil || !add(sub) {
			continue
		}
		for _, l := range r.refs(sub) {
			add(l)
		}
	}
	return out
}

func (r *resolver) refs(s *Section) (out []*Section) {
refs:
	for _, ref := range s.Refs {
		for _, p := range r.pending {
			if p == ref.Name {
				continue refs
			}
		}
		if r.work++; r.work > maxLayers {
			return out
		}
		r.pending = append(r.pending, ref.Name)
		out = append(out, r.resolve(ref.Name)...)
		r.pending = r.pending[:len(r.pending)-1]
	}
	return out
}

// Node is a section seen with its inheritance.
type Node struct {
	cfg    *Config
	path   string
	name   string
	layers []*Section
}

// Path returns the dotted name, "" for the top.
func (n *Node) Path() string { return n.path }

// Exists reports whether some file states the section.
func (n *Node) Exists() bool { return len(n.layers) > 0 }

// Pos returns where the section first appears.
func (n *Node) Pos() Pos {
	if len(n.layers) == 0 {
		return Pos{}
	}
	return n.layers[0].Pos
}

// Name returns the section's own name. It may hold dots where another grammar
// was translated into this one.
func (n *Node) Name() string { return n.name }

// Config returns what the section belongs to.
func (n *Node) Config() *Config { return n.cfg }

// Sub returns a subsection; it is never nil.
func (n *Node) Sub(name string) *Node {
	r := &resolver{cfg: n.cfg}
	path := name
	if n.path != "" {
		path = n.path + "." + name
	}
	return &Node{cfg: n.cfg, path: path, name: name, layers: r.step(n.layers, name)}
}

// Sections returns the names of the subsections in the order of the files,
// inherited ones after its own.
func (n *Node) Sections() []string {
	var names []string
	seen := make(map[string]bool)
	for _, l := range n.layers {
		for _, s := range l.sections {
			if !seen[s.Name] {
				seen[s.Name] = true
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// Values returns the values in the order of the files, inherited ones after
// its own; cleared ones are left out.
func (n *Node) Values() []Value {
	var vs []Value
	seen := make(map[string]bool)
	for _, l := range n.layers {
		for _, v := range l.values {
			if !seen[v.Key] {
				seen[v.Key] = true
				if !v.cleared {
					vs = append(vs, *v)
				}
			}
		}
	}
	return vs
}

// Lookup returns the value of a key of this section. The key may name
// subsections with dots. A value that an empty assignment cleared counts as
// not set.
func (n *Node) Lookup(key string) (Value, bool) {
	v, found := n.find(key)
	return v, found && !v.cleared
}

func (n *Node) find(key string) (Value, bool) {
	section, name := splitKey(key)
	if section != "" {
		for _, s := range strings.Split(section, ".") {
			n = n.Sub(s)
		}
	}
	for _, l := range n.layers {
		if v := l.byKey[name]; v != nil {
			return *v, true
		}
	}
	return Value{}, false
}

// View returns a View that reads below this section, with its inheritance.
func (n *Node) View() View { return n.cfg.View(n.path) }

// Sections returns the subsections in the order of the files.
func (s *Section) Sections() []*Section { return append([]*Section(nil), s.sections...) }

// Put sets a value in the section at path ("connections.home.local"), which is
// made where it is missing: for readers of other grammars that translate into
// this one. Names may hold dots only where sections are given one by one.
func (c *Config) Put(path []string, v Value) {
	s := c.top
	for _, name := range path {
		s, _ = s.child(name, v.Pos)
	}
	if v.Key != "" {
		s.set(v)
	}
}
