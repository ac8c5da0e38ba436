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
	ESPProposals []string      // empty = default
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
	MarkIn       Mark
	MarkOut      Mark
}

// Mark is a packet mark with its mask.
type Mark struct{ Value, Mask uint32 }

var childKeys = keys{
	"local_ts": used, "remote_ts": used, "esp_proposals": used, "ah_proposals": used, "mode": used,
	"start_action": used, "close_action": used, "dpd_action": used, "rekey_time": used, "life_time": used,
	"replay_window": used, "updown": used, "interface": used,
	"sha256_96": ignored, "rand_time": used, "rekey_bytes": ignored, "life_bytes": ignored, "rand_bytes": ignored,
	"rekey_packets": ignored, "life_packets": ignored, "rand_packets": ignored, "hostaccess": ignored,
	"policies": ignored, "policies_fwd_out": ignored, "ipcomp": ignored, "inactivity": ignored, "reqid": ignored,
	"priority": ignored, "mark_in": used, "mark_in_sa": ignored, "mark_out": used, "set_mark_in": ignored,
	"set_mark_out": ignored, "if_id_in": used, "if_id_out": used, "label": ignored, "label_mode": ignored,
	"tfc_padding": ignored, "per_cpu_sas": ignored, "hw_offload": ignored, "copy_df": ignored, "copy_ecn": ignored,
	"copy_dscp": ignored, "icmp": ignored,
}

func (m *Config) child(n *config.Node, bad func(*config.Error)) *Child {
	r := reader{n, bad}
	c := &Child{Name: n.Name(), Pos: n.Pos()}
	c.LocalTS = typed(r, "local_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.RemoteTS = typed(r, "remote_ts", []TrafficSelector{Dynamic}, parseTSList)
	c.ESPProposals = proposals(r, "esp_proposals")
	r.refuse("ah_proposals", "use esp_proposals")
	c.Mode = r.oneOf("mode", "tunnel", "tunnel", "transport", "transport_proxy", "iptfs", "beet", "pass", "drop")
	if c.Mode != "tunnel" {
		v, _ := n.Lookup("mode")
		bad(v.Errorf("mode = %s is not supported, use tunnel", c.Mode))
	}
	c.StartAction = typed(r, "start_action", "none", parseAction)
	c.CloseAction = typed(r, "close_action", "none", parseAction)
	c.DPDAction = typed(r, "dpd_action", "clear", parseAction)
	c.LifeTime = r.duration("life_time", 0)
	rekey := time.Hour
	if c.LifeTime > 0 {
		rekey = c.LifeTime - c.LifeTime/10
	}
	c.RekeyTime = r.duration("rekey_time", rekey)
	if c.LifeTime == 0 {
		c.LifeTime = c.RekeyTime + c.RekeyTime/10
	}
	c.RandTime = r.duration("rand_time", max(c.LifeTime-c.RekeyTime, 0))
	c.IfIDIn, c.IfIDOut = uint32(r.integer("if_id_in", 0, 0, math.MaxUint32)), uint32(r.integer("if_id_out", 0, 0, math.MaxUint32))
	c.MarkIn, c.MarkOut = typed(r, "mark_in", Mark{}, parseMark), typed(r, "mark_out", Mark{}, parseMark)
	c.ReplayWindow = int(r.integer("replay_window", 32, 0, 1<<16))
	c.Updown = r.str("updown", "")
	c.Interface = r.str("interface", "")
	m.unknown(n, childKeys, nil, nil, nil)
	return c
}

// parseAction reads the names of actions, old ones too.
func parseAction(v config.Value) (string, error) {
	switch v.Text {
	case "none", "clear", "trap", "start", "trap|start", "start|trap", "restart":
		return v.Text, nil
	case "hold", "route":
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
