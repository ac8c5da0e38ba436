package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gotnc/gotnc/internal/base/text"
)

// Cell is one field of a table.
type Cell struct {
	Text   string
	Colour Colour
}

// Table collects rows, and writes them in columns that two blanks part. Where the
// screen is narrower than the rows, cells of wide columns wrap.
type Table struct {
	w      io.Writer
	screen Screen
	indent int
	rows   [][]Cell
}

// NewTable returns a table that Flush writes to w, each row indented by indent
// columns.
func NewTable(w io.Writer, indent int) *Table { return NewTableFor(w, Of(w), indent) }

// NewTableFor is NewTable for a screen that is known.
func NewTableFor(w io.Writer, s Screen, indent int) *Table {
	return &Table{w: w, screen: s, indent: indent}
}

// Row adds a row of texts, which are made printable.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, s := range texts {
		cells[i].Text = s
	}
	t.Cells(cells...)
}

// Cells adds a row. Its texts are made printable.
func (t *Table) Cells(cells ...Cell) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i] = Cell{text.Printable(c.Text), c.Colour}
	}
	t.rows = append(t.rows, row)
}

// Digest returns a digest as the screen has room for it.
func (t *Table) Digest(hex string) string { return t.screen.Digest(hex) }

const (
	gap      = 2  // blanks between columns
	thinnest = 12 // columns that a cell keeps at least, where it wraps
)

// Flush writes the rows and forgets them.
func (t *Table) Flush() {
	widths := t.widths()
	for _, row := range t.rows {
		t.writeRow(row, widths)
	}
	t.rows = nil
}

// widths returns the width of each column: that of its widest cell, less where the
// screen is too narrow for all.
func (t *Table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	if t.screen.Width == 0 {
		return widths
	}
	for total := t.indent + gap*(len(widths)-1) + sum(widths); total > t.screen.Width; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= thinnest {
			break
		}
		widths[widest]--
	}
	return widths
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}

// writeRow writes a row, which takes as many lines as its longest cell.
func (t *Table) writeRow(row []Cell, widths []int) {
	lines := make([][]string, len(row))
	height := 1
	for i, c := range row {
		lines[i] = []string{c.Text}
		if utf8.RuneCountInString(c.Text) > widths[i] {
			lines[i] = wrap(c.Text, widths[i])
		}
		height = max(height, len(lines[i]))
	}
	for n := range height {
		line, pending := "", t.indent
		for i, c := range row {
			if n < len(lines[i]) && lines[i][n] != "" {
				line += strings.Repeat(" ", pending) + t.screen.Paint(lines[i][n], c.Colour)
				pending = widths[i] - utf8.RuneCountInString(lines[i][n])
			} else {
				pending += widths[i]
			}
			pending += gap
		}
		fmt.Fprintln(t.w, line)
	}
}

// wrap cuts a text into lines of at most width columns, between words, or behind the
// last '/', ',' or '=' of a word that is too long, or else within it.
func wrap(s string, width int) (lines []string) {
	rest := []rune(s)
	for len(rest) > width {
		end, next := width, width
		if at := lastOf(rest[:width+1], " "); at > 0 {
			end, next = at, at+1
		} else if at := lastOf(rest[:width], "/,="); at > 0 {
			end, next = at+1, at+1
		}
		lines = append(lines, strings.TrimRight(string(rest[:end]), " "))
		rest = rest[next:]
	}
	return append(lines, string(rest))
}

// lastOf returns the index of the last rune that is one of chars; -1 where none is.
func lastOf(rs []rune, chars string) int {
	for i := len(rs) - 1; i >= 0; i-- {
		if strings.ContainsRune(chars, rs[i]) {
			return i
		}
	}
	return -1
}
