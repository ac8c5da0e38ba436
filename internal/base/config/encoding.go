package config

import (
	"strings"
	"unicode/utf8"
)

// CheckEncoding refuses text that was saved in an encoding whose octets would be
// taken for part of names and values: UTF-16, UTF-32, UTF-8 with a byte order
// mark.
func CheckEncoding(file, text string) error {
	what := ""
	switch {
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		what = "the file starts with a byte order mark"
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		what = "the file is in UTF-16"
	case len(text) >= 4 && strings.Count(text[:min(len(text), 64)], "\x00") > 8:
		what = "the file is in UTF-16 or no text"
	default:
		return nil
	}
	return Pos{file, 1}.Errorf("%s: save it as UTF-8 without BOM", what)
}

// curly are the quotes that word processors put in place of straight ones.
const curly = "“”„‟«»‘’‚‛"

// Curly reports whether a value stands in typographic quotes, which are part of
// it.
func (v Value) Curly() bool {
	first, _ := utf8.DecodeRuneInString(v.Text)
	last, _ := utf8.DecodeLastRuneInString(v.Text)
	return v.Text != "" && (strings.ContainsRune(curly, first) || strings.ContainsRune(curly, last))
}
