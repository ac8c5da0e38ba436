package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// hostile is what a stranger may write: an escape sequence, a line of its own,
// an override of the direction, half a character.
const hostile = "a\x1b[2J\nb\tc\u202ed\u2028e\xffé"

func TestEachFunctionDisarms(t *testing.T) {
	require.Equal(t, "a [2J b c d e\uFFFDé", Printable(hostile))
	require.Equal(t, "a [2J\nb\tc d e\uFFFDé", Lines(hostile))
	require.Equal(t, "a?[2J?b?c???d???e???", ASCII([]byte(hostile)))
	require.Equal(t, `a\x1b[2J\nb\tc\u202ed\u2028e\xffé`, Escape(hostile, 100))
	require.Equal(t, `'a\x1b…'`, Quote(hostile, 2))
	require.Equal(t, "ab", Clip("abé", 3), "no half character")
	require.Equal(t, "abé", Clip("abé", 4))
}

func FuzzText(f *testing.F) {
	f.Add(hostile, 5)
	f.Add(strings.Repeat("é", 20), 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 {
			return
		}
		for name, out := range map[string]string{"Printable": Printable(s), "ASCII": ASCII([]byte(s)), "Escape": Escape(s, limit), "Quote": Quote(s, limit)} {
			require.True(t, utf8.ValidString(out), name)
			for _, r := range out {
				require.True(t, unicode.IsGraphic(r), "%s: %q", name, r)
			}
		}
		require.LessOrEqual(t, len(Clip(s, limit)), max(limit, 0))
		require.True(t, utf8.ValidString(Lines(s)))
	})
}

func TestMarked(t *testing.T) {
	require.Equal(t, "a\ufffd[2Jb\ufffd\n\tc\ufffd", Marked("a\x1b[2Jb\u202e\n\tc\xff"))
}
