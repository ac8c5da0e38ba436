package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Value is one setting.
type Value struct {
	Key  string
	Text string
	Pos  Pos
	// Literal: the text was quoted where quotes take the meaning of 0x and 0s
	// away (ipsec.secrets).
	Literal bool

	cleared bool // "key =": the default applies
}

// Bool reads 1, yes, true, enabled or 0, no, false, disabled, in any case.
func (v Value) Bool() (bool, error) {
	switch strings.ToLower(v.Text) {
	case "1", "yes", "true", "enabled":
		return true, nil
	case "0", "no", "false", "disabled":
		return false, nil
	}
	return false, v.bad("yes or no")
}

// Int reads a decimal or 0x number with or without a sign; a leading 0 does not
// mean octal.
func (v Value) Int() (int64, error) {
	text, base := strings.TrimLeft(v.Text, " \t\r\n"), 10
	neg := strings.HasPrefix(text, "-")
	if neg || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if len(text) > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') {
		text, base = text[2:], 16
	}
	u, err := strconv.ParseUint(text, base, 63)
	if err != nil {
		return 0, v.bad("a number")
	}
	if neg {
		return -int64(u), nil
	}
	return int64(u), nil
}

// Float reads a decimal or hexadecimal floating-point number with a point as
// the separator.
func (v Value) Float() (float64, error) {
	text := strings.TrimLeft(v.Text, " \t\r\n")
	if strings.HasPrefix(strings.TrimLeft(text, "+-"), "0x") && !strings.ContainsAny(text, "pP") {
		text += "p0" // Go wants the exponent
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, v.bad("a number such as 1.8")
	}
	return f, nil
}

// units of a time, by the letter after the number.
var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// Duration reads a time: a number of seconds, or with the suffix s, m, h or d.
// As with strongSwan only the first letter of the suffix counts: "30 sec", "2hours".
func (v Value) Duration() (time.Duration, error) {
	text := strings.TrimPrefix(strings.TrimSpace(v.Text), "+")
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	u, err := strconv.ParseUint(text[:n], 10, 63)
	unit, known := time.Second, true
	if suffix := strings.TrimLeft(text[n:], " \t\r\n"); suffix != "" {
		unit, known = units[suffix[0]]
	}
	if err != nil || !known {
		return 0, v.bad("a time such as 30, 30s, 5m, 4h or 1d")
	}
	if u > uint64(math.MaxInt64/unit) {
		return 0, v.bad("a shorter time")
	}
	return time.Duration(u) * unit, nil
}

// List splits at commas; blanks around the items and empty items go.
func (v Value) List() []string {
	var items []string
	for _, s := range strings.Split(v.Text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			items = append(items, s)
		}
	}
	return items
}

// Errorf returns an *Error at the value's place.
func (v Value) Errorf(format string, args ...any) *Error { return v.Pos.Errorf(format, args...) }

func (v Value) bad(want string) *Error {
	return v.Errorf("%s = %s: not %s", v.Key, QuoteText(v.Text), want)
}

// QuoteText returns s in quotes and at most 64 octets of it, for a complaint.
func QuoteText(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
