package ipsecconf

import (
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// kind tells what a token is.
type kind uint8

const (
	word kind = iota
	equal
)

type token struct {
	kind kind
	text string
	pos  config.Pos
}

// statement is one line of ipsec.conf without comments; quoted strings may
// extend it over several lines.
type statement struct {
	pos      config.Pos
	indented bool
	tokens   []token
	include  []token // patterns, each where it stands
}

// lexer splits one file as the scanner of strongSwan's starter does. A '#'
// outside of quotes starts a comment wherever it stands, except behind an '@'
// (key IDs, "@#0a0b").
type lexer struct {
	file string
	text string
	off  int
	line int
}

func newLexer(file, text string) *lexer { return &lexer{file: file, text: text, line: 1} }

func (l *lexer) pos() config.Pos { return config.Pos{File: l.file, Line: l.line} }

func (l *lexer) peek() byte {
	if l.off < len(l.text) {
		return l.text[l.off]
	}
	return 0
}

func (l *lexer) eof() bool { return l.off >= len(l.text) }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// next returns the next line that holds something; ok is false at the end.
func (l *lexer) next() (s statement, ok bool, err error) {
	for !l.eof() {
		s = statement{pos: l.pos(), indented: isBlank(l.peek())}
		if err := l.statement(&s); err != nil {
			return s, false, err
		}
		if len(s.tokens) > 0 || len(s.include) > 0 {
			return s, true, nil
		}
	}
	return s, false, nil
}

func (l *lexer) statement(s *statement) error {
	for first := true; !l.eof(); {
		switch c := l.peek(); {
		case c == '\n':
			l.off++
			l.line++
			return nil
		case isBlank(c) || c == '\r':
			l.off++
		case c == '#':
			l.skipComment()
		case c == '=':
			s.tokens = append(s.tokens, token{equal, "=", l.pos()})
			l.off++
			first = false
		case c == '"':
			t, err := l.quoted()
			if err != nil {
				return err
			}
			s.tokens = append(s.tokens, t)
			first = false
		default:
			t := l.word()
			switch {
			case first && strings.HasPrefix(t.text, "version"):
				l.skipComment() // a declaration of old files
			case t.text == "include" && isBlank(l.peek()) && !l.assigned():
				pattern, err := l.pattern()
				if err != nil {
					return err
				}
				s.include = append(s.include, pattern)
			default:
				s.tokens = append(s.tokens, t)
			}
			first = false
		}
	}
	return nil
}

// assigned reports whether the next token is an equals sign.
func (l *lexer) assigned() bool {
	return strings.HasPrefix(strings.TrimLeft(l.text[l.off:], " \t"), "=")
}

// skipComment skips up to, not over, the end of the line.
func (l *lexer) skipComment() {
	if i := strings.IndexByte(l.text[l.off:], '\n'); i >= 0 {
		l.off += i
	} else {
		l.off = len(l.text)
	}
}

func (l *lexer) word() token {
	t := token{word, "", l.pos()}
	start := l.off
	if strings.HasPrefix(l.text[l.off:], "@#") {
		l.off += 2
	}
	for !l.eof() && strings.IndexByte("\"#= \t\r\n", l.peek()) < 0 {
		l.off++
	}
	t.text = l.text[start:l.off]
	return t
}

// quoted reads a string in double quotes with the escapes \n, \r, \t; a
// backslash before the end of a line continues it, before any other character
// it stands for that character.
func (l *lexer) quoted() (token, error) {
	t := token{word, "", l.pos()}
	l.off++
	var b strings.Builder
	for !l.eof() {
		c := l.peek()
		l.off++
		switch c {
		case '"':
			t.text = b.String()
			return t, nil
		case '\n':
			l.line++
			b.WriteByte(c)
		case '\\':
			c = l.peek()
			l.off++
			switch c {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '\n':
				l.line++
			case '\r':
				if l.peek() == '\n' {
					l.off++
					l.line++
				}
			default:
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	return t, t.pos.Errorf("the quote that opens here is not closed: '\"' is missing")
}

// pattern reads what include names: a word in which a backslash escapes, or a
// quoted string.
func (l *lexer) pattern() (token, error) {
	for isBlank(l.peek()) {
		l.off++
	}
	if l.peek() == '"' {
		return l.quoted()
	}
	t := token{word, "", l.pos()}
	var b strings.Builder
	for !l.eof() && strings.IndexByte("# \t\r\n", l.peek()) < 0 {
		c := l.peek()
		l.off++
		if c == '\\' && !l.eof() && strings.IndexByte("\"#} ", l.peek()) >= 0 {
			c = l.peek()
			l.off++
		}
		b.WriteByte(c)
	}
	t.text = b.String()
	if t.text == "" {
		return t, t.pos.Errorf("include names no file")
	}
	return t, nil
}
