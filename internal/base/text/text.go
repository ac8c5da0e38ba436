// Package text makes text from strangers fit for logs, terminals and reports:
// paths that a verifier asks for, certificates of a man in the middle, reasons
// of a server, identities. It is the only place where that is decided.
//
// No function panics, whatever octets it is given, and each returns valid
// UTF-8 without control characters, bidirectional overrides or escape
// sequences.
package text

import (
	"strconv"
	"strings"
	"unicode"
)

// Printable returns s on one line: each character that is not graphic (control
// characters, line separators, bidirectional overrides) becomes a space,
// invalid UTF-8 becomes U+FFFD.
func Printable(s string) string { return graphic(strings.ToValidUTF8(s, "\uFFFD"), "", ' ') }

// Lines returns s as Printable does, but keeps line feeds and tabs, and makes a
// U+FFFD of each invalid octet instead of each run of them.
func Lines(s string) string { return graphic(s, "\n\t", ' ') }

// Marked returns s as Lines does, but marks each replaced character by U+FFFD
// instead of a space: for texts that are shown to a user or handed on as data.
func Marked(s string) string { return graphic(s, "\n\t", '\uFFFD') }

// graphic replaces each character that is neither graphic nor in keep by other.
func graphic(s, keep string, other rune) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || strings.ContainsRune(keep, r) {
			return r
		}
		return other
	}, s)
}

// ASCII returns b with every octet outside the printable ASCII characters
// replaced by a question mark, as strongSwan prints identities.
func ASCII(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			c = '?'
		}
		out[i] = c
	}
	return string(out)
}

// Clip returns at most limit octets of s and never half a character. It does
// not mark that something is missing.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// Escape returns at most limit octets of s, with what is not printable written
// as in a Go string: \n, \x1b, \u202e. An ellipsis marks what was cut.
func Escape(s string, limit int) string {
	cut := ""
	if len(s) > limit {
		s, cut = s[:limit], "…"
	}
	q := strconv.Quote(s)
	return q[1:len(q)-1] + cut
}

// Shell returns s with everything replaced by '_' that a shell gives a meaning where
// a script forgets its quotes: what is neither a letter, a digit, a blank nor one of
// . , : / @ = + % - _. Control characters are among it.
func Shell(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" .,:/@=+%-_", r) {
			return r
		}
		return '_'
	}, s)
}

// Quote returns Escape in single quotes, as strongSwan's log shows a path.
func Quote(s string, limit int) string { return "'" + Escape(s, limit) + "'" }
