package ipsecconf

import (
	"sort"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// conn is one connection with its merged values; what was read is taken out.
type conn struct {
	t     *translator
	s     *section
	v     map[string]config.Value
	right config.Value // where the gateway is; Text "" = anywhere
}

func (c *conn) take(key string) (config.Value, bool) {
	v, ok := c.v[key]
	delete(c.v, key)
	return v, ok && v.Text != ""
}

// copy puts a value under another key.
func (c *conn) copy(from, to string, path ...string) {
	if v, ok := c.take(from); ok {
		c.put(v, to, v.Text, path...)
	}
}

func (c *conn) put(v config.Value, key, text string, path ...string) {
	v.Key, v.Text = key, text
	c.t.cfg.Put(append([]string{"connections", c.s.name}, path...), v)
}

func (c *conn) at() config.Value { return config.Value{Pos: c.s.pos} }

// Keys without meaning for a client of this kind, or whose default is the only
// choice here.
var ignored = []string{
	"installpolicy", "reqid", "leftfirewall", "lefthostaccess", "leftallowany", "rightallowany",
	"modeconfig", "inactivity", "tfc", "eap_identity2", "lifebytes", "lifepackets", "marginbytes", "marginpackets",
	"compress", "mobike2", "me_peerid", "mediation", "leftgroups", "rekeyfuzz", "dpdtimeout", "sha256_96", "replay_window2",
}

func (c *conn) translate(strict config.Value) error {
	child := []string{"children", c.s.name}
	c.t.cfg.Put(append([]string{"connections", c.s.name}, child...), c.at())
	if v, ok := c.take("keyexchange"); ok && v.Text == "ikev1" {
		c.put(v, "version", "1")
	} else {
		c.put(c.at(), "version", "2")
	}
	for from, to := range map[string]string{"left": "local_addrs", "right": "remote_addrs"} {
		if v, ok := c.take(from); ok && v.Text != "%any" && v.Text != "%defaultroute" {
			c.put(v, to, v.Text)
			if first, _, _ := strings.Cut(v.Text, ","); from == "right" && !strings.HasPrefix(first, "%") {
				c.right, c.right.Text = v, strings.TrimSpace(first)
			}
		}
	}
	c.copy("leftikeport", "local_port")
	c.copy("rightikeport", "remote_port")
	c.copy("ike", "proposals")
	c.copy("esp", "esp_proposals", child...)
	c.strictProposals(child)
	c.copy("mobike", "mobike")
	c.copy("fragmentation", "fragmentation")
	c.copy("forceencaps", "encap")
	c.copy("keyingtries", "keyingtries")
	c.copy("dpddelay", "dpd_delay")
	c.copy("leftsourceip", "vips")
	c.sourceIP()
	c.selectors("left", "local_ts", child)
	c.selectors("right", "remote_ts", child)
	c.copy("leftupdown", "updown", child...)
	c.copy("replay_window", "replay_window", child...)
	c.copy("mark_in", "mark_in", child...)
	c.copy("mark_out", "mark_out", child...)
	if v, ok := c.take("mark"); ok {
		c.put(v, "mark_in", v.Text, child...)
		c.put(v, "mark_out", v.Text, child...)
	}
	if v, ok := c.take("type"); ok && v.Text != "tunnel" {
		c.put(v, "mode", v.Text, child...)
	}
	for from, to := range map[string]string{"dpdaction": "dpd_action", "closeaction": "close_action", "auto": "start_action"} {
		v, ok := c.take(from)
		if !ok {
			continue
		}
		action := v.Text
		switch action {
		case "add", "ignore":
			action = "none"
		case "route", "hold":
			action = "trap"
		case "restart":
			action = "start"
		case "none":
			if from == "dpdaction" { // dead peer detection is off
				c.put(v, "dpd_delay", "0")
				continue
			}
		}
		if from == "auto" && action == "none" {
			continue
		}
		c.put(v, to, action, child...)
	}
	if err := c.lifetimes(child); err != nil {
		return err
	}
	if err := c.authentication(strict); err != nil {
		return err
	}
	for _, k := range ignored {
		delete(c.v, k)
	}
	keys := make([]string, 0, len(c.v))
	for k := range c.v {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !strings.HasPrefix(k, "x-") && !strings.HasPrefix(k, "x_") {
			c.t.cfg.Warn(c.v[k].Errorf("setting %q is not known in conn %s", k, c.s.name))
		}
	}
	return nil
}

// strictProposals takes the "!" off, after which nothing else is offered:
// nothing else ever is here.
func (c *conn) strictProposals(child []string) {
	for _, p := range [][]string{{"proposals"}, append(append([]string(nil), child...), "esp_proposals")} {
		path := "connections." + c.s.name + "." + strings.Join(p, ".")
		if v, ok := c.t.cfg.Lookup(path); ok && strings.HasSuffix(v.Text, "!") {
			c.put(v, p[len(p)-1], strings.TrimSuffix(v.Text, "!"), p[:len(p)-1]...)
		}
	}
}

// selectors takes the subnets of an end. What leftprotoport or rightprotoport
// says counts for each that says nothing itself.
func (c *conn) selectors(end, to string, child []string) {
	v, ok := c.take(end + "subnet")
	limit, limited := c.take(end + "protoport")
	switch {
	case !ok && !limited:
		return
	case !ok:
		v, v.Text = limit, "dynamic"
	}
	if limited {
		only := "[" + strings.ReplaceAll(limit.Text, "%", "") + "]"
		items := strings.Split(v.Text, ",")
		for i, s := range items {
			if items[i] = strings.TrimSpace(s); !strings.Contains(s, "[") {
				items[i] += only
			}
		}
		v.Text = strings.Join(items, ",")
	}
	c.put(v, to, v.Text, child...)
}

// sourceIP writes %config as the addresses that ask for any.
func (c *conn) sourceIP() {
	v, ok := c.t.cfg.Lookup("connections." + c.s.name + ".vips")
	if !ok {
		return
	}
	var out []string
	for _, s := range strings.Split(v.Text, ",") {
		switch s = strings.TrimSpace(s); s {
		case "%config", "%config4", "%modeconfig", "%modecfg", "%cfg":
			s = "0.0.0.0"
		case "%config6":
			s = "::"
		}
		out = append(out, s)
	}
	c.put(v, "vips", strings.Join(out, ","))
}
