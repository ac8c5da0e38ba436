package log

import (
	"strings"
	"unicode"
)

// Printable returns s on one line, without what could disturb a terminal or a
// log: each character that is not graphic (control characters, line
// separators, bidirectional overrides) becomes a space, invalid UTF-8 U+FFFD.
func Printable(s string) string { return graphic(strings.ToValidUTF8(s, "\uFFFD"), "") }

// harmless is Printable for text of several lines: what peers have put into an
// error may come into a log without anybody's care.
func harmless(s string) string { return graphic(s, "\n\t") }

// graphic makes a space of each character that is neither graphic nor in keep.
func graphic(s, keep string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || strings.ContainsRune(keep, r) {
			return r
		}
		return ' '
	}, s)
}
