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

// Int reads a decimal or 0x number; a leading 0 does not mean octal.
func (v Value) Int() (int64, error) {
	text, base := v.Text, 10
	neg := strings.HasPrefix(text, "-")
	text = strings.TrimPrefix(text, "-")
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
	f, err := strconv.ParseFloat(v.Text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, v.bad("a number such as 1.8")
	}
	return f, nil
}

// Duration reads a time: a number of seconds, or with the suffix s, m, h or d.
func (v Value) Duration() (time.Duration, error) {
	text := strings.TrimSpace(v.Text)
	unit := time.Second
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 's':
			text = text[:n-1]
		case 'm':
			unit, text = time.Minute, text[:n-1]
		case 'h':
			unit, text = time.Hour, text[:n-1]
		case 'd':
			unit, text = 24*time.Hour, text[:n-1]
		}
	}
	u, err := strconv.ParseUint(strings.TrimRight(text, " \t"), 10, 63)
	if err != nil {
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
	return v.Errorf("%s = %s: not %s", v.Key, quoteText(v.Text), want)
}

// quoteText shortens and quotes what a complaint repeats.
func quoteText(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
