package ipsecconf

import (
	"math"
	"strconv"
	"time"
)

// Defaults of ipsec.conf(5).
const (
	defaultIKELifetime = 3 * time.Hour
	defaultLifetime    = time.Hour
	defaultMargin      = 9 * time.Minute
	defaultFuzz        = 100 // percent
	defaultDPDDelay    = 30 * time.Second
)

// seconds reads a time of ipsec.conf: a number with s, m, h or d.
func seconds(text string) (time.Duration, bool) {
	unit := time.Second
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
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// lifetimes translates the end of an SA and the margin before it into the time
// of rekeying and what is left after it. With rekey = no nothing ends by time,
// as with strongSwan.
func (c *conn) lifetimes() {
	get := func(def time.Duration, keys ...string) time.Duration {
		for _, k := range keys {
			if v, ok := c.take(k); ok {
				def, _ = seconds(v.Text)
			}
		}
		return def
	}
	ikePos, childPos := c.at(), c.at()
	if v, ok := c.v["ikelifetime"]; ok {
		ikePos = v
	}
	if v, ok := c.v["lifetime"]; ok {
		childPos = v
	}
	marginAt := c.at()
	for _, k := range []string{"lifetime", "keylife", "ikelifetime", "rekeymargin", "margintime"} {
		if v, ok := c.v[k]; ok {
			marginAt = v
		}
	}
	ikeLife := get(defaultIKELifetime, "ikelifetime")
	life := get(defaultLifetime, "keylife", "lifetime")
	margin := get(defaultMargin, "rekeymargin", "margintime")
	fuzz := time.Duration(defaultFuzz)
	if v, ok := c.take("rekeyfuzz"); ok {
		n, _ := strconv.ParseUint(v.Text[:len(v.Text)-1], 10, 32)
		fuzz = time.Duration(min(n, math.MaxUint16))
	}
	rekey, reauth := true, true
	if v, ok := c.take("rekey"); ok {
		rekey = v.Text != "no"
	}
	if v, ok := c.take("reauth"); ok {
		reauth = v.Text != "no"
	}
	text := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }
	if !rekey {
		for _, k := range []string{"rekey_time", "reauth_time", "over_time", "rand_time"} {
			c.put(ikePos, k, "0")
		}
		for _, k := range []string{"rekey_time", "life_time", "rand_time"} {
			c.put(childPos, k, "0", c.child()...)
		}
		return
	}
	// A margin that leaves no time makes no sense; strongSwan's subtraction wraps
	// around there.
	before := func(life time.Duration, what string) time.Duration {
		if margin >= life {
			c.bad(marginAt.Errorf("margintime = %s of conn %s is not shorter than %s = %s: make it shorter", text(margin), c.s.name, what, text(life)))
			return life
		}
		return life - margin
	}
	soft := before(ikeLife, "ikelifetime")
	if reauth {
		c.put(ikePos, "reauth_time", text(soft))
		c.put(ikePos, "rekey_time", "0")
	} else {
		c.put(ikePos, "rekey_time", text(soft))
	}
	c.put(ikePos, "over_time", text(margin))
	c.put(ikePos, "rand_time", text(margin*fuzz/100))
	c.put(childPos, "life_time", text(life), c.child()...)
	c.put(childPos, "rekey_time", text(before(life, "lifetime")), c.child()...)
	c.put(childPos, "rand_time", text(margin*fuzz/100), c.child()...)
}
