package terminal

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTableWraps(t *testing.T) {
	fill := func(tab *Table) {
		tab.Row("asked", "of", "result")
		tab.Cells(Cell{Text: "measurement"}, Cell{Text: "/usr/lib/x86_64-linux-gnu/gotnc/imc-attestation.so"}, Cell{"mismatch", Bad})
		tab.Row("reason", "the content of the file differs from the reference", "-")
		tab.Flush()
	}
	var b bytes.Buffer
	fill(NewTableFor(&b, Screen{Width: 50, Colour: true}, 2))
	require.Equal(t, `  asked        of                         result
  measurement  /usr/lib/                  `+"\x1b[31mmismatch\x1b[0m"+`
               x86_64-linux-gnu/gotnc/
               imc-attestation.so
  reason       the content of the file    -
               differs from the
               reference
`, b.String())
	b.Reset()
	fill(NewTableFor(&b, Screen{}, 2)) // a pipe: one line a row
	require.Equal(t, 3, strings.Count(b.String(), "\n"))
	require.NotContains(t, b.String(), "\x1b")
}

// Whatever the cells and the screen, no line is wider than it, and no letter is lost.
func TestTableFits(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for _, width := range []int{60, 80, 81, 132, 300} {
		var b bytes.Buffer
		tab := NewTableFor(&b, Screen{Width: width}, 2)
		tab.Row("", long, "a b c d", long[:100], "-")
		tab.Row("name")
		tab.Flush()
		for l := range strings.Lines(b.String()) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), width)
		}
		require.Equal(t, 250, strings.Count(b.String(), "ä"))
	}
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"a b", "c"}, wrap("a b c", 3))
	require.Equal(t, []string{"abc"}, wrap("abc", 3))
	require.Equal(t, []string{"abc", "d"}, wrap("abcd", 3))
	require.Equal(t, []string{""}, wrap("", 3))
	require.Equal(t, []string{"one two three", "    four"}, indented(Screen{Width: 14}.wrap("one two three four", 4), 4))
	require.Equal(t, []string{"one two"}, Screen{}.wrap("one two", 4))
}

func indented(lines []string, indent int) []string {
	for i := range lines[1:] {
		lines[i+1] = strings.Repeat(" ", indent) + lines[i+1]
	}
	return lines
}

func TestScreenOfAFile(t *testing.T) {
	require.Zero(t, Of(&bytes.Buffer{}))
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	require.Zero(t, Of(f))
	require.Equal(t, "x", Screen{}.Paint("x", Bad))
	require.Equal(t, "0123456789abcdef…", Screen{Width: 80}.Digest("0123456789abcdef0"))
	require.Equal(t, "0123456789abcdef", Screen{Width: 80}.Digest("0123456789abcdef"))
	require.Equal(t, "0123456789abcdef0", Screen{}.Digest("0123456789abcdef0"))
}
