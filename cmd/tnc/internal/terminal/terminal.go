// Package terminal lays out what people read: tables whose cells wrap at the width
// of the terminal, and colours for decisions. What goes to a file or a pipe has
// neither.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/gotnc/gotnc/internal/base/text"
)

// Screen is what is known of where text goes. The zero value is a file or a pipe.
type Screen struct {
	Width  int  // columns; 0 = lines of any length
	Colour bool // escape sequences of colours are understood
}

// narrowest is the least width that text is laid out for.
const narrowest = 40

// Of returns what w is. A terminal has colours unless NO_COLOR is set
// (no-color.org), or TERM is dumb.
func Of(w io.Writer) Screen {
	f, ok := w.(*os.File)
	if !ok || f == nil || !term.IsTerminal(int(f.Fd())) {
		return Screen{}
	}
	s := Screen{Width: 80, Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		s.Width = max(width, narrowest)
	}
	return s
}

// Colour is the colour of a decision; the zero value is none.
type Colour int

// Colours, by what they say.
const (
	Plain Colour = iota
	Good
	Doubtful
	Bad
)

var escapes = [...]string{Good: "\x1b[32m", Doubtful: "\x1b[33m", Bad: "\x1b[31m"}

// Paint returns printable text in a colour, where the screen has any.
func (s Screen) Paint(printable string, c Colour) string {
	if !s.Colour || c == Plain {
		return printable
	}
	return escapes[c] + printable + "\x1b[0m"
}

// Line writes a sentence, made printable; a terminal gets lines of whole words, the
// second one and those after it indented by indent columns.
func Line(w io.Writer, indent int, format string, args ...any) {
	s := Of(w)
	for i, l := range s.wrap(text.Printable(fmt.Sprintf(format, args...)), indent) {
		if i > 0 {
			l = strings.Repeat(" ", indent) + l
		}
		fmt.Fprintln(w, l)
	}
}

// wrap cuts a sentence into lines; those after the first have indent columns less.
func (s Screen) wrap(sentence string, indent int) []string {
	if s.Width == 0 {
		return []string{sentence}
	}
	lines := wrap(sentence, s.Width)
	if len(lines) == 1 {
		return lines
	}
	rest := strings.TrimPrefix(sentence, lines[0])
	return append(lines[:1], wrap(strings.TrimPrefix(rest, " "), s.Width-indent)...)
}

// Digest returns a digest in hexadecimal digits as the screen has room for it: whole, or
// its beginning; --json has it whole.
func (s Screen) Digest(hex string) string {
	const digits, wide = 16, 120
	if s.Width == 0 || s.Width >= wide || len(hex) <= digits {
		return hex
	}
	return hex[:digits] + "…"
}
