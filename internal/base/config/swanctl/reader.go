package swanctl

import (
	"errors"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
)

// reader reads the values of one section and collects what is wrong.
type reader struct {
	n   *config.Node
	bad func(*config.Error)
}

func (r reader) str(key, def string) string {
	if v, ok := r.n.Lookup(key); ok {
		return v.Text
	}
	return def
}

func (r reader) oneOf(key, def string, allowed ...string) string {
	v, ok := r.n.Lookup(key)
	if !ok {
		return def
	}
	for _, a := range allowed {
		if strings.EqualFold(v.Text, a) {
			return a
		}
	}
	r.bad(v.Errorf("%s = %q: not one of %s%s", key, v.Text, strings.Join(allowed, ", "), config.Suggest(v.Text, allowed)))
	return def
}

func (r reader) list(key string) []string {
	if v, ok := r.n.Lookup(key); ok {
		return v.List()
	}
	return nil
}

func typed[T any](r reader, key string, def T, as func(config.Value) (T, error)) T {
	v, ok := r.n.Lookup(key)
	if !ok {
		return def
	}
	t, err := as(v)
	if err != nil {
		var e *config.Error
		if !errors.As(err, &e) {
			e = v.Errorf("%s: %w", key, err)
		}
		r.bad(e)
		return def
	}
	return t
}

func (r reader) boolean(key string, def bool) bool { return typed(r, key, def, config.Value.Bool) }

func (r reader) duration(key string, def time.Duration) time.Duration {
	return typed(r, key, def, parseTime)
}

// parseTime reads a time as strongSwan's vici plugin does: a number of seconds,
// or one with a single letter s, m, h or d of any case behind it. That is
// stricter than strongswan.conf.
func parseTime(v config.Value) (time.Duration, error) {
	text := strings.TrimLeft(v.Text, " \t\n\r+")
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	suffix := strings.TrimLeft(text[n:], " ")
	bad := v.Errorf("%s = %s: not a time such as 30, 30s, 5m, 4h or 1d", v.Key, config.QuoteText(v.Text))
	if len(suffix) > 1 {
		return 0, bad
	}
	v.Text = text[:n] + strings.ToLower(suffix)
	d, err := v.Duration()
	if err != nil {
		return 0, bad
	}
	return d, nil
}

func (r reader) integer(key string, def, least, most int64) int64 {
	return typed(r, key, def, func(v config.Value) (int64, error) {
		n, err := v.Int()
		switch {
		case err != nil:
			err = v.Errorf("%s = %s: not a number between %d and %d", key, config.QuoteText(v.Text), least, most)
		case n < least || n > most:
			err = v.Errorf("%s = %d: not between %d and %d", key, n, least, most)
		}
		return n, err
	})
}

// refuse makes a setting whose loss would weaken the connection a problem.
func (r reader) refuse(key, why string) {
	if v, ok := r.n.Lookup(key); ok {
		r.bad(v.Errorf("%s is not supported: %s", key, why))
	}
}

// proposals returns a list of proposals, nil for the default, and where it is.
func proposals(r reader, key string) ([]string, config.Pos) {
	v, ok := r.n.Lookup(key)
	if !ok {
		return nil, r.n.Pos()
	}
	ps := v.List()
	if len(ps) == 1 && ps[0] == "default" {
		return nil, v.Pos
	}
	return ps, v.Pos
}
