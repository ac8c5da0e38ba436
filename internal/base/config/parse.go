package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// Options says where files come from. The zero value reads the file system.
type Options struct {
	// ReadFile returns the contents of a file, at most MaxFileSize octets.
	ReadFile func(path string) ([]byte, error)
	// Glob returns the files that match a shell pattern, sorted.
	Glob func(pattern string) ([]string, error)
}

// Load is Load with these options.
func (o Options) Load(path string) (*Config, error) {
	p := o.parser()
	if err := p.file(path, p.cfg.top, 0); err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return p.cfg, nil
}

// Parse is Parse with these options.
func (o Options) Parse(name, text string) (*Config, error) {
	p := o.parser()
	if err := p.text(name, text, p.cfg.top, 0); err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return p.cfg, nil
}

func (o Options) parser() *parser {
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	return &parser{opt: o, cfg: New()}
}

// readFile reads a regular file (or what behaves like one) up to the cap.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if st.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory, a file is needed")}
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFileSize {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d octets", MaxFileSize)}
	}
	return b, nil
}

// parser holds what all files of one load share.
type parser struct {
	opt     Options
	cfg     *Config
	entries int
	octets  int
}

func (p *parser) file(path string, into *Section, depth int) error {
	b, err := p.opt.ReadFile(path)
	if err != nil {
		return err
	}
	return p.text(path, string(b), into, depth)
}

func (p *parser) text(name, text string, into *Section, depth int) error {
	if len(text) > MaxFileSize {
		return fmt.Errorf("%s: larger than %d octets", name, MaxFileSize)
	}
	if p.octets += len(text); p.octets > MaxTotalSize {
		return fmt.Errorf("%s: more than %d octets with all included files", name, MaxTotalSize)
	}
	if len(p.cfg.files) >= MaxFiles {
		return fmt.Errorf("%s: more than %d files included", name, MaxFiles)
	}
	if err := CheckEncoding(name, text); err != nil {
		return err
	}
	p.cfg.files = append(p.cfg.files, name)
	s := &scanner{name: name, text: text, line: 1}
	return p.statements(s, into, nil, depth, 0)
}

// scanner walks over one file.
type scanner struct {
	name string
	text string
	off  int
	line int
	// suspect is the first section that a less indented brace closed: where a
	// brace is missing at the end, its own is the likely one.
	suspect *suspect
}

type suspect struct {
	pos  Pos
	name string
}

// indent returns how many blanks stand before the current octet in its line;
// false where something else does.
func (s *scanner) indent() (blanks int, first bool) {
	line := s.text[strings.LastIndexByte(s.text[:s.off], '\n')+1 : s.off]
	return len(line), strings.Trim(line, " \t") == ""
}

func (s *scanner) pos() Pos { return Pos{s.name, s.line} }

// peek returns the next octet, 0 at the end (a NUL in the file is reported
// where it is read as part of something).
func (s *scanner) peek() byte {
	if s.off < len(s.text) {
		return s.text[s.off]
	}
	return 0
}

func (s *scanner) eof() bool { return s.off >= len(s.text) }

// next consumes one octet and counts lines.
func (s *scanner) next() byte {
	c := s.text[s.off]
	s.off++
	if c == '\n' {
		s.line++
	}
	return c
}

// space skips blanks, line ends and comments.
func (s *scanner) space() {
	for !s.eof() {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			s.comment()
		default:
			return
		}
	}
}

// comment skips up to, not over, the end of the line. In a last line without an
// end a carriage return is one, as with strongSwan.
func (s *scanner) comment() {
	for _, end := range [...]byte{'\n', '\r'} {
		if i := strings.IndexByte(s.text[s.off:], end); i >= 0 {
			s.off += i
			return
		}
	}
	s.off = len(s.text)
}

// isName tells the octets of section names and keys.
func isName(c byte) bool { return c != 0 && !strings.ContainsRune("#{}:.,=\"\r\n\t ", rune(c)) }

func (s *scanner) word(is func(byte) bool) string {
	start := s.off
	for !s.eof() && is(s.peek()) {
		s.off++
	}
	return s.text[start:s.off]
}

// found describes the next octet for an error.
func (s *scanner) found() string {
	if s.eof() {
		return "end of the file"
	}
	switch c := s.peek(); c {
	case '\n':
		return "end of the line"
	case 0:
		return "NUL octet"
	default:
		r, _ := utf8.DecodeRuneInString(s.text[s.off:])
		return fmt.Sprintf("%q", string(r))
	}
}

// opening is where a section that is being read begins.
type opening struct {
	pos    Pos
	indent int // blanks before its name
}

// statements reads sections, settings and includes up to the closing brace of
// open, or the end of the file where open is nil.
func (p *parser) statements(s *scanner, into *Section, open *opening, depth, nesting int) error {
	for {
		s.space()
		if s.eof() {
			if open != nil {
				at, name := open.pos, into.Name
				if s.suspect != nil {
					at, name = s.suspect.pos, s.suspect.name
				}
				return at.Errorf("section %q is not closed: '}' is missing", name)
			}
			return nil
		}
		if s.peek() == '}' {
			if open == nil {
				return s.pos().Errorf("unexpected '}': no section is open in this file")
			}
			if blanks, first := s.indent(); first && blanks < open.indent && s.suspect == nil {
				s.suspect = &suspect{open.pos, into.Name}
			}
			s.next()
			return nil
		}
		pos := s.pos()
		indent, _ := s.indent()
		if !isName(s.peek()) {
			return pos.Errorf("unexpected %s: the name of a section or setting is expected", s.found())
		}
		if p.entries++; p.entries > MaxEntries {
			return pos.Errorf("more than %d sections and settings", MaxEntries)
		}
		name := s.word(isName)
		if name == "include" && s.includeFollows() {
			if err := p.include(s, into, depth); err != nil {
				return err
			}
			continue
		}
		s.space()
		switch s.peek() {
		case '=':
			s.next()
			v, err := s.value()
			if err != nil {
				return err
			}
			v.Key, v.Pos = name, pos
			into.set(v)
		case ':', '{':
			var refs []Ref
			if s.peek() == ':' {
				s.next()
				var err error
				if refs, err = s.references(name); err != nil {
					return err
				}
			}
			s.next() // '{'
			if nesting+1 > MaxDepth {
				return pos.Errorf("more than %d sections inside each other", MaxDepth)
			}
			sub, _ := into.child(name, pos)
			for _, r := range refs {
				sub.addRef(r)
			}
			if err := p.statements(s, sub, &opening{pos, indent}, depth, nesting+1); err != nil {
				return err
			}
		case '.':
			return s.pos().Errorf("unexpected '.' after %q: names hold no dots, write nested sections", name)
		default:
			return pos.Errorf("after %q a '{' or '=' is missing: %s follows", name, s.found())
		}
	}
}

// includeFollows tells "include pattern" from a key of that name.
func (s *scanner) includeFollows() bool {
	rest := strings.TrimLeft(s.text[s.off:], " \t")
	return len(rest) < len(s.text)-s.off && rest != "" && rest[0] != '='
}

// references reads "a, b.c" up to, not over, the opening brace.
func (s *scanner) references(of string) ([]Ref, error) {
	var refs []Ref
	for {
		s.space()
		pos := s.pos()
		name := s.word(isName)
		for name != "" && s.peek() == '.' {
			s.next()
			part := s.word(isName)
			if part == "" {
				return nil, s.pos().Errorf("unexpected %s in a reference of section %q", s.found(), of)
			}
			name += "." + part
		}
		if name == "" {
			return nil, pos.Errorf("unexpected %s: the name of the section that %q inherits from is expected", s.found(), of)
		}
		refs = append(refs, Ref{name, pos})
		s.space()
		switch s.peek() {
		case ',':
			s.next()
		case '{':
			return refs, nil
		default:
			return nil, s.pos().Errorf("unexpected %s: ',' or '{' is expected after the references of section %q", s.found(), of)
		}
	}
}

// value reads up to, not over, the end of the line, a comment or '}'. Parts
// are joined by one space; no part at all clears the value.
func (s *scanner) value() (Value, error) {
	var parts []string
	for {
		if s.eof() {
			break
		}
		switch c := s.peek(); c {
		case ' ', '\t', '\r':
			s.next()
			continue
		case '"':
			str, err := s.quoted()
			if err != nil {
				return Value{}, err
			}
			parts = append(parts, str)
			continue
		case 0:
			return Value{}, s.pos().Errorf("unexpected %s in a value", s.found())
		case '\n', '#', '}':
		default:
			parts = append(parts, s.word(func(c byte) bool {
				return c != 0 && !strings.ContainsRune("#}\"\r\n\t ", rune(c))
			}))
			continue
		}
		break
	}
	return Value{Text: strings.Join(parts, " "), cleared: len(parts) == 0}, nil
}

// quoted reads a string; the next octet is its opening quote.
func (s *scanner) quoted() (string, error) {
	pos := s.pos()
	s.next()
	var b strings.Builder
	for !s.eof() {
		switch c := s.next(); c {
		case '"':
			return b.String(), nil
		case '\r':
		case 0:
			return "", s.pos().Errorf("unexpected NUL octet in a string")
		case '\\':
			if s.eof() {
				return "", pos.Errorf("the string is not closed: '\"' is missing")
			}
			switch c := s.next(); c {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '\n': // the line goes on
			case '\r':
				if s.peek() == '\n' {
					s.next()
				} else {
					b.WriteByte('\r')
				}
			default:
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", pos.Errorf("the string is not closed: '\"' is missing")
}

// include reads the pattern and the files that match it, into the section
// that is open. As with strongSwan, a pattern that matches nothing is no
// error; it is a warning where it names one file.
func (p *parser) include(s *scanner, into *Section, depth int) error {
	s.word(func(c byte) bool { return c == ' ' || c == '\t' })
	pos := s.pos()
	var pattern string
	if s.peek() == '"' {
		str, err := s.quoted()
		if err != nil {
			return err
		}
		pattern = str
	} else {
		var b strings.Builder
		for !s.eof() {
			c := s.peek()
			if strings.IndexByte("#} \t\n", c) >= 0 {
				break
			}
			s.next()
			switch {
			case c == '\r':
			case c == '\\' && !s.eof() && strings.IndexByte("\"#} ", s.peek()) >= 0:
				b.WriteByte(s.next())
			case c == '"' || c == 0:
				return pos.Errorf("unexpected %q in the name of an included file", string(c))
			default:
				b.WriteByte(c)
			}
		}
		pattern = b.String()
	}
	if pattern == "" {
		return pos.Errorf("include names no file")
	}
	if depth+1 > MaxIncludeDepth {
		return pos.Errorf("more than %d files included inside each other: does a file include itself?", MaxIncludeDepth)
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(s.name), pattern)
	}
	files, err := p.opt.Glob(pattern)
	if err != nil {
		return pos.Errorf("include %s: %w", pattern, err)
	}
	sort.Strings(files)
	if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		p.cfg.warn(pos.Errorf("include %s: no such file", pattern))
	}
	for _, f := range files {
		if err := p.file(f, into, depth+1); err != nil {
			var e *Error
			if errors.As(err, &e) {
				return err
			}
			return pos.Errorf("include %s: %w", f, err)
		}
	}
	return nil
}
