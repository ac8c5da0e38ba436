package ipsecconf

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// conn is one connection with its merged values; what was read is taken out.
// us is the end that this machine is, "left" unless right is an address of it.
type conn struct {
	t  *translator
	s  *section
	v  map[string]config.Value
	us string

	// local and remote are the values of left and right, as this machine and the
	// gateway.
	local, remote string
	localID       config.Value // of the first round

	// confirmed are the sections whose id has to be in the certificate, else its
	// subject counts; optionalCA those whose ca_id counts only where there is
	// such a CA certificate.
	confirmed, optionalCA []string

	problems []*config.Error
	passive  string // why nothing is initiated
}

func (c *conn) bad(e *config.Error) { c.problems = append(c.problems, e) }

func (c *conn) warn(e *config.Error) { c.t.cfg.Warn(e) }

// them is the gateway's end.
func (c *conn) them() string {
	if c.us == "left" {
		return "right"
	}
	return "left"
}

// child is the path of the connection's only child, of the same name.
func (c *conn) child() []string { return []string{"children", c.s.name} }

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

func (c *conn) translate(strict config.Value) {
	c.t.cfg.Put(append([]string{"connections", c.s.name}, c.child()...), c.at())
	version := map[string]string{"ike": "0", "ikev1": "0", "ikev2": "2"}
	if v, ok := c.take("keyexchange"); ok {
		if v.Text == "ikev1" {
			c.bad(v.Errorf("keyexchange = ikev1: IKEv1 is not supported, use ikev2"))
		}
		c.put(v, "version", version[v.Text])
	} else {
		c.put(c.at(), "version", "0")
	}
	c.ends()
	c.copy(c.us+"ikeport", "local_port")
	c.copy(c.them()+"ikeport", "remote_port")
	c.proposals("ike", "proposals")
	c.proposals("esp", "esp_proposals", c.child()...)
	if v, ok := c.take("ah"); ok {
		c.bad(v.Errorf("ah = %s: AH is not supported, use esp", v.Text))
	}
	c.copy("mobike", "mobike")
	c.copy("fragmentation", "fragmentation")
	c.copy("forceencaps", "encap")
	c.copy("ikedscp", "dscp")
	if v, ok := c.take("keyingtries"); ok {
		c.put(v, "keyingtries", strings.ReplaceAll(v.Text, "%forever", "0"))
	} else {
		c.put(c.at(), "keyingtries", "3")
	}
	c.sourceIP()
	c.selectors(c.us, "local_ts")
	c.selectors(c.them(), "remote_ts")
	c.copy(c.us+"updown", "updown", c.child()...)
	c.take(c.them() + "updown")
	c.copy("replay_window", "replay_window", c.child()...)
	c.marks()
	c.mode()
	c.actions()
	c.lifetimes()
	c.authentication(strict)
}

// ends says where both ends are. "%name" is a name of somebody who may be
// elsewhere too, which says nothing to an initiator.
func (c *conn) ends() {
	for end, to := range map[string]string{c.us: "local_addrs", c.them(): "remote_addrs"} {
		c.take(end + "allowany")
		v, ok := c.take(end)
		if end == c.us {
			c.local = v.Text
		} else {
			c.remote = v.Text
		}
		if !ok || anyHost(v.Text) {
			continue
		}
		c.put(v, to, strings.TrimPrefix(v.Text, "%"))
	}
}

// anyHost reports whether a value of left or right names no host.
func anyHost(text string) bool {
	switch text {
	case "", "%any", "%any4", "%any6", "%defaultroute", "0.0.0.0", "::":
		return true
	}
	return false
}

// proposals adds strongSwan's defaults unless a "!" ends the list.
func (c *conn) proposals(from, to string, path ...string) {
	v, ok := c.take(from)
	if !ok {
		return
	}
	list, strict := strings.CutSuffix(v.Text, "!")
	if !strict {
		list += ", default"
	}
	c.put(v, to, list, path...)
}

func (c *conn) marks() {
	both, ok := c.take("mark")
	for _, k := range []string{"mark_in", "mark_out"} {
		v, own := c.take(k)
		if !own && !ok {
			continue
		}
		if !own {
			v = both
		}
		c.put(v, k, v.Text, c.child()...)
	}
}

func (c *conn) mode() {
	v, ok := c.take("type")
	if !ok || v.Text == "tunnel" {
		return
	}
	switch v.Text {
	case "passthrough", "pass", "drop", "reject":
		c.passive = "type = " + v.Text + " is a rule for packets without a tunnel, which is not supported"
	case "transport", "transport_proxy", "beet":
		c.bad(v.Errorf("type = %s is not supported, use tunnel", v.Text))
	default:
		c.bad(v.Errorf("type = %s: not one of tunnel, transport, transport_proxy, beet, passthrough, drop", config.QuoteText(v.Text)))
	}
}

// actions translates what happens at the start, when the peer is dead, and when
// it closes a CHILD_SA. Without dpdaction the peer is not checked, with it every
// 30 s unless dpddelay says otherwise.
func (c *conn) actions() {
	action := map[string]string{"none": "none", "clear": "clear", "hold": "trap", "restart": "start"}
	delay, set := c.take("dpddelay")
	dpd, ok := c.take("dpdaction")
	if !ok || dpd.Text == "none" {
		c.put(c.at(), "dpd_delay", "0")
		if set && !ok {
			c.warn(delay.Errorf("dpddelay has no effect: dpdaction is not set, which turns dead peer detection off: set dpdaction too"))
		}
	} else {
		c.put(dpd, "dpd_action", action[dpd.Text], c.child()...)
		if !set {
			delay, delay.Text = dpd, defaultDPDDelay.String()
		}
		c.put(delay, "dpd_delay", delay.Text)
	}
	if v, ok := c.take("closeaction"); ok {
		c.put(v, "close_action", action[v.Text], c.child()...)
	}
	if v, ok := c.take("auto"); ok {
		switch v.Text {
		case "route":
			c.put(v, "start_action", "trap", c.child()...)
		case "start":
			c.put(v, "start_action", "start", c.child()...)
		}
	}
}

// selectors translates the subnets of an end. What protoport says counts for
// each that says nothing itself. As with strongSwan one that is none is passed
// over, and where none is left the end itself is meant.
func (c *conn) selectors(end, to string) {
	v, ok := c.take(end + "subnet")
	if w, within := c.take(end + "subnetwithin"); !ok && within {
		v, ok = w, true
	}
	limit, limited := c.take(end + "protoport")
	if !ok && !limited {
		return
	}
	only := ""
	if limited {
		port, err := portOf(limit.Text)
		if only = "[" + port + "]"; err == nil {
			_, err = swanctl.ParseTrafficSelector("dynamic" + only)
		}
		if err != nil {
			c.bad(limit.Errorf("%sprotoport = %s: %w", end, config.QuoteText(limit.Text), err))
			return
		}
	}
	var items []string
	for _, s := range v.List() {
		subnet, own, has := strings.Cut(s, "[")
		if subnet = strings.TrimSpace(subnet); subnet == "%dynamic" {
			subnet = "dynamic"
		}
		own = strings.TrimSuffix(own, "]")
		if _, ports, ok := strings.Cut(limit.Text, "/"); ok && has && !strings.Contains(own, "/") {
			own += "/" + ports // as strongSwan: a protocol alone leaves protoport's ports
		}
		port, err := portOf(own)
		if has {
			subnet += "[" + port + "]"
		} else {
			subnet += only
		}
		if err == nil {
			_, err = swanctl.ParseTrafficSelector(subnet)
		}
		if err != nil {
			c.warn(v.Errorf("%ssubnet: %q is passed over: %w", end, s, err))
			continue
		}
		items = append(items, subnet)
	}
	if !ok {
		v = limit
	}
	if len(items) == 0 {
		items = []string{"dynamic" + only}
	}
	c.put(v, to, strings.Join(items, ","), c.child()...)
}

// portOf writes protocol/port of ipsec.conf as swanctl.conf has it, where any and
// opaque have no %.
func portOf(s string) (string, error) {
	protocol, port, _ := strings.Cut(s, "/")
	if protocol == "any" || port == "any" || port == "opaque" {
		return "", fmt.Errorf("%q: write %%any or %%opaque", s)
	}
	return strings.ReplaceAll(s, "%", ""), nil
}

// sourceIP writes %config as the addresses that ask for any: of the family of
// the subnets, else of this machine's address.
func (c *conn) sourceIP() {
	v, ok := c.take(c.us + "sourceip")
	pool, both := c.take(c.them() + "sourceip")
	switch {
	case both && ok:
		c.warn(v.Errorf("%ssourceip has no effect: the other end's is set too, and only one end can have a virtual IP", c.us))
		return
	case both:
		c.warn(pool.Errorf("%ssourceip has no effect: it makes this machine the gateway that assigns virtual IPs", c.them()))
		return
	case !ok:
		return
	}
	var out []string
	for _, s := range v.List() {
		switch s {
		case "%config", "%modeconfig", "%modecfg", "%cfg":
			s = c.anyAddress()
		case "%config4":
			s = "0.0.0.0"
		case "%config6":
			s = "::"
		default:
			if _, err := netip.ParseAddr(s); err != nil {
				c.warn(v.Errorf("%ssourceip: %q is passed over: it is no IP address and not %%config", c.us, s))
				continue
			}
		}
		out = append(out, s)
	}
	if len(out) > 0 {
		c.put(v, "vips", strings.Join(out, ","))
	}
}

func (c *conn) anyAddress() string {
	for _, key := range []string{c.us + "subnet", c.us + "subnetwithin", c.them() + "subnet", c.them() + "subnetwithin"} {
		if v, ok := c.v[key]; ok && v.Text != "" {
			if strings.Contains(v.Text, ".") {
				return "0.0.0.0"
			}
			return "::"
		}
	}
	first, _, _ := strings.Cut(c.local, ",")
	if strings.Contains(first, ":") || first == "%any6" {
		return "::"
	}
	return "0.0.0.0"
}
