package swanctl

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Child is children.<name>.
type Child struct {
	Name string
	Pos  config.Pos

	LocalTS      []TrafficSelector // never empty: dynamic
	RemoteTS     []TrafficSelector
	ESPProposals []string // empty = default
	ProposalsPos config.Pos
	Mode         string        // tunnel
	StartAction  string        // none, trap, start or "trap|start"
	CloseAction  string        // the same
	DPDAction    string        // clear, trap, restart …
	RekeyTime    time.Duration // 1 h; 0 = never
	LifeTime     time.Duration // 0 = RekeyTime + 10 %
	RandTime     time.Duration // rekeying comes up to that much earlier; LifeTime - RekeyTime
	ReplayWindow int           // packets, 32
	Updown       string
	Interface    string
	IfIDIn       uint32 // XFRM interface IDs; 0 = the connection's
	IfIDOut      uint32
	CopyDF       bool   // the outer header takes the inner one's
	CopyECN      bool   // the same
	CopyDSCP     string // out, in, yes or no
	MarkIn       Mark
	MarkOut      Mark
}

// Mark is a packet mark with its mask.
type Mark struct{ Value, Mask uint32 }

// Reasons of settings without effect.
const (
	byTime    = "CHILD_SAs are rekeyed by time"
	noMarks   = "SAs and packets get the marks of mark_in and mark_out"
	noOffload = "ESP is computed on the processor"
)

var no = []string{"no", "false", "disabled", "0"}
var yes = []string{"yes", "true", "enabled", "1"}

var childKeys = keys{
	"local_ts": used, "remote_ts": used, "esp_proposals": used, "ah_proposals": used, "mode": used,
	"start_action": used, "close_action": used, "dpd_action": used, "rekey_time": used, "life_time": used, "rand_time": used,
	"replay_window": used, "updown": used, "interface": used, "mark_in": used, "mark_out": used, "if_id_in": used, "if_id_out": used,
	"copy_df": used, "copy_ecn": used, "copy_dscp": used,

	"rekey_bytes": without(byTime, "0").as(wholeNumber), "life_bytes": without(byTime, "0").as(wholeNumber), "rand_bytes": without(byTime, "0").as(wholeNumber),
	"rekey_packets": without(byTime, "0").as(wholeNumber), "life_packets": without(byTime, "0").as(wholeNumber), "rand_packets": without(byTime, "0").as(wholeNumber),
	"sha256_96":  without("HMAC-SHA-256 is truncated to 128 bits (RFC 4868)", no...).as(valid(config.Value.Bool)),
	"hostaccess": without("no firewall rules are added", no...).as(valid(config.Value.Bool)), "policies": without("policies are always installed", yes...).as(valid(config.Value.Bool)),
	"policies_fwd_out": without("no forward policies outwards are installed", no...).as(valid(config.Value.Bool)), "ipcomp": without("packets are not compressed", no...).as(valid(config.Value.Bool)),
	"inactivity": without("CHILD_SAs without traffic are kept", "0", "0s").as(valid(parseTime)), "reqid": without("reqids are assigned", "0").as(wholeNumber),
	"priority": without("priorities are computed from the selectors", "0").as(wholeNumber), "mark_in_sa": without(noMarks, no...).as(valid(config.Value.Bool)),
	"set_mark_in": without(noMarks, "0", "0/0x0", "0x0/0x0").as(either(choice("%same"), valid(parseMark))), "set_mark_out": without(noMarks, "0", "0/0x0", "0x0/0x0").as(either(choice("%same"), valid(parseMark))),
	"label": without("packets are not labelled"), "label_mode": without("packets are not labelled", "system").as(choice("system", "simple", "selinux")),
	"tfc_padding": without("ESP packets are not padded", "0").as(either(choice("mtu"), wholeNumber)), "per_cpu_sas": without("one CHILD_SA serves all processors", no...).as(either(choice("encap"), valid(config.Value.Bool))),
	"hw_offload": without(noOffload, no...).as(either(choice("auto", "crypto", "packet"), valid(config.Value.Bool))),
	"icmp":       without("ICMP errors are not let through on their own", no...).as(valid(config.Value.Bool)),
}

func (m *Config) child(n *config.Node, bad func(*config.Error)) *Child {
	r := reader{n, bad}
	c := &Child{Name: n.Name(), Pos: n.Pos()}
	c.LocalTS = typed(r, "local_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.RemoteTS = typed(r, "remote_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.ESPProposals, c.ProposalsPos = proposals(r, "esp_proposals")
	r.refuse("ah_proposals", "use esp_proposals")
	c.Mode = r.oneOf("mode", "tunnel", "tunnel", "transport", "transport_proxy", "iptfs", "beet", "pass", "drop")
	if c.Mode != "tunnel" && c.Mode != "pass" && c.Mode != "drop" {
		v, _ := n.Lookup("mode")
		bad(v.Errorf("mode = %s is not supported, use tunnel", c.Mode))
	}
	c.StartAction = typed(r, "start_action", "none", parseAction)
	c.CloseAction = typed(r, "close_action", "none", parseAction)
	c.DPDAction = typed(r, "dpd_action", "clear", parseAction)
	c.lifetimes(r)
	c.IfIDIn, c.IfIDOut = uint32(r.integer("if_id_in", 0, 0, math.MaxUint32)), uint32(r.integer("if_id_out", 0, 0, math.MaxUint32))
	c.MarkIn, c.MarkOut = typed(r, "mark_in", Mark{}, parseMark), typed(r, "mark_out", Mark{}, parseMark)
	c.ReplayWindow = int(r.integer("replay_window", 32, 0, 1<<16))
	c.CopyDF, c.CopyECN = r.boolean("copy_df", true), r.boolean("copy_ecn", true)
	c.CopyDSCP = r.oneOf("copy_dscp", "out", "out", "in", "yes", "no")
	c.Updown = r.str("updown", "")
	c.Interface = r.str("interface", "")
	m.unknown(n, childKeys, nil, nil, nil, bad)
	return c
}

// lifetimes reads when the CHILD_SA is rekeyed and ends, in whole seconds: each
// of the two times follows from the other where only one is set, and the random
// part never reaches the whole time.
func (c *Child) lifetimes(r reader) {
	const unset = -1
	c.RekeyTime, c.LifeTime, c.RandTime = r.duration("rekey_time", unset), r.duration("life_time", unset), r.duration("rand_time", unset)
	if c.RekeyTime == unset {
		if c.RekeyTime = time.Hour; c.LifeTime != unset {
			c.RekeyTime = seconds(c.LifeTime.Seconds() / 1.1)
		}
	}
	if c.LifeTime == unset {
		c.LifeTime = seconds(c.RekeyTime.Seconds() * 1.1)
	}
	if c.RandTime == unset {
		c.RandTime = max(c.LifeTime-c.RekeyTime, 0)
	}
	c.RandTime = boundRandom(c.RandTime, c.RekeyTime)
}

// seconds rounds a time down as strongSwan does, whose times are binary fractions:
// 514800 / 1.1 is 467999.
func seconds(s float64) time.Duration { return time.Duration(s) * time.Second }

// boundRandom returns the random part of a time: at least a second is left.
func boundRandom(random, of time.Duration) time.Duration {
	return max(min(random, of-time.Second), 0)
}

// parseAction reads the names of actions, old ones too.
func parseAction(v config.Value) (string, error) {
	switch text := strings.ToLower(v.Text); text {
	case "none", "clear", "trap", "start", "trap|start", "start|trap", "restart":
		return text, nil
	case "route":
		return "trap", nil
	}
	return "", v.Errorf("%s = %q: not one of none, trap, start", v.Key, v.Text)
}

// parseMark reads value[/mask].
func parseMark(v config.Value) (Mark, error) {
	value, mask, has := strings.Cut(v.Text, "/")
	m := Mark{Mask: math.MaxUint32}
	n, err := strconv.ParseUint(value, 0, 32)
	if err == nil && has {
		var k uint64
		k, err = strconv.ParseUint(mask, 0, 32)
		m.Mask = uint32(k)
	}
	if err != nil {
		return Mark{}, v.Errorf("%s = %q: not a mark as 42 or 0x2a/0xff", v.Key, v.Text)
	}
	m.Value = uint32(n)
	return m, nil
}
