package ipsecconf

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
)

// seconds reads a time of ipsec.conf: a number with s, m, h or d.
func seconds(v config.Value) (time.Duration, error) {
	text, unit := v.Text, time.Second
	if n := len(text); n > 1 {
		switch text[n-1] {
		case 's':
			text = text[:n-1]
		case 'm':
			text, unit = text[:n-1], time.Minute
		case 'h':
			text, unit = text[:n-1], time.Hour
		case 'd':
			text, unit = text[:n-1], 24*time.Hour
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || time.Duration(n) > math.MaxInt64/unit {
		return 0, v.Errorf("%s = %q: not a time as 3600, 60m or 1h", v.Key, v.Text)
	}
	return time.Duration(n) * unit, nil
}

// lifetimes: ipsec.conf gives the end and a margin before it, swanctl.conf the
// time of rekeying and how long after it the end is.
func (c *conn) lifetimes(child []string) error {
	get := func(def time.Duration, keys ...string) (time.Duration, config.Value, error) {
		pos := c.at()
		for _, k := range keys {
			if v, ok := c.take(k); ok {
				d, err := seconds(v)
				if err != nil {
					return 0, v, err
				}
				def, pos = d, v
			}
		}
		return def, pos, nil
	}
	ikeLife, ikePos, err1 := get(3*time.Hour, "ikelifetime")
	life, lifePos, err2 := get(time.Hour, "lifetime", "keylife")
	margin, _, err3 := get(9*time.Minute, "margintime", "rekeymargin")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	rekey, reauth := true, true
	if v, ok := c.take("rekey"); ok {
		rekey = v.Text != "no"
	}
	if v, ok := c.take("reauth"); ok {
		reauth = v.Text != "no"
	}
	text := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }
	before := func(life time.Duration) time.Duration { return max(life-margin, life/10, time.Second) }
	switch {
	case !rekey:
		c.put(ikePos, "rekey_time", "0")
	case reauth:
		c.put(ikePos, "reauth_time", text(before(ikeLife)))
		c.put(ikePos, "rekey_time", "0")
	default:
		c.put(ikePos, "rekey_time", text(before(ikeLife)))
	}
	c.put(ikePos, "over_time", text(ikeLife-before(ikeLife)))
	c.put(lifePos, "life_time", text(life), child...)
	if rekey {
		c.put(lifePos, "rekey_time", text(before(life)), child...)
	} else {
		c.put(lifePos, "rekey_time", "0", child...)
	}
	return nil
}
