package settings

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A problem says what a text must be, "" where it can be used. An empty text is
// a setting that is not set.
type problem func(text string) string

// mustBe lets Check name texts that the readers of the setting cannot use.
func (t Text) mustBe(p problem) Text {
	t.entry.problem = p
	return t
}

// oneWord is a text that is one of the words.
func oneWord(words ...string) problem {
	return func(text string) string {
		if slices.Contains(words, text) {
			return ""
		}
		return "write one of " + strings.Join(words, ", ")
	}
}

// listOf is a list at blanks and commas of words in any case.
func listOf(words ...string) problem {
	return func(text string) string {
		for _, w := range Words(text) {
			if !slices.Contains(words, strings.ToLower(w)) {
				return fmt.Sprintf("%s is none: write %s", strconv.Quote(w), strings.Join(words, ", "))
			}
		}
		return ""
	}
}

// eachOf is a list at blanks and commas of which each element can be used.
func eachOf(p problem) problem {
	return func(text string) string {
		for _, w := range Words(text) {
			if why := p(w); why != "" {
				return why
			}
		}
		return ""
	}
}

// octets is a text of n octets in hex; of at least one where n is 0.
func octets(n int) problem {
	return func(text string) string {
		b, err := hex.DecodeString(text)
		switch {
		case err == nil && n == 0 && len(b) > 0 || err == nil && n > 0 && len(b) == n:
			return ""
		case n == 0:
			return "write two digits of 0 to 9 and a to f for each octet"
		}
		return fmt.Sprintf("write %d octets in hex, which are %d digits", n, 2*n)
	}
}

// between is a whole number of a range.
func between(least, most int64) problem {
	return func(text string) string {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= least && n <= most {
			return ""
		}
		return fmt.Sprintf("write a number from %d to %d; the default applies", least, most)
	}
}

// handleHex is a handle of a TPM.
func handleHex(text string) string {
	if _, err := ParseHandle(text); err != nil {
		return "write a handle in hex, as in 0x81010003"
	}
	return ""
}

// ParseHandle reads a handle of a TPM in hex, with 0x or without.
func ParseHandle(s string) (uint32, error) {
	h, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0x"), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a handle in hex, as in 0x81010003", s)
	}
	return uint32(h), nil
}

// absolutePattern is a pattern of absolute paths.
func absolutePattern(text string) string {
	if !filepath.IsAbs(text) {
		return strconv.Quote(text) + " does not begin with /: write the whole path"
	}
	if slices.Contains(strings.Split(text, "/"), "..") {
		return strconv.Quote(text) + " holds ..: write the path without"
	}
	if _, err := filepath.Match(text, ""); err != nil {
		return strconv.Quote(text) + " is no pattern: write \\[ for a bracket, and \\\\ for a backslash"
	}
	return ""
}

// absolutePath is the name of a file from the root.
func absolutePath(text string) string {
	if !filepath.IsAbs(text) {
		return "write the name of the file from / on"
	}
	return ""
}

// language is a tag of RFC 5646.
func language(text string) string {
	// A pattern that is a variable of the package would change the order of the table.
	if ok, _ := regexp.MatchString(`^([A-Za-z]{1,8}|\*)(-[A-Za-z0-9]{1,8})*$`, text); ok && len(text) <= 35 {
		return ""
	}
	return "write a language as in de or en-GB"
}

// languages is a list of RFC 3282.
func languages(text string) string {
	for w := range strings.SplitSeq(text, ",") {
		if ok, _ := regexp.MatchString(`^\s*([A-Za-z]{1,8}|\*)(-[A-Za-z0-9]{1,8})*\s*(;\s*q=[01](\.\d{0,3})?)?\s*$`, w); !ok {
			return "write languages as in de, en;q=0.8"
		}
	}
	return ""
}

// Words splits a list at commas, blanks and ends of lines; nil where it is empty.
func Words(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
	if len(words) == 0 {
		return nil
	}
	return words
}
