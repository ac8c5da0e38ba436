package profile

import (
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// ActionTrap as a start_action, dpd_action or close_action waits for packets that
// want the tunnel.
const ActionTrap = "trap"

// NormalizeAction returns a dpd_action or close_action, "" where it ends the
// connection.
func NormalizeAction(action string) string {
	switch action {
	case "none", "clear":
		return ""
	}
	return action
}

// FirstChild returns the CHILD_SA that is set up with the IKE_SA; nil where none
// is configured.
func (p *Profile) FirstChild() *swanctl.Child {
	if l := p.Children(); len(l) > 0 {
		return l[0]
	}
	return nil
}

// Children returns the CHILD_SAs to set up: those with a start_action, or all
// where none has one.
func (p *Profile) Children() []*swanctl.Child {
	var out []*swanctl.Child
	for _, ch := range p.Connection.Children {
		if ch.StartAction != "" && ch.StartAction != "none" {
			out = append(out, ch)
		}
	}
	if len(out) == 0 {
		return p.Connection.Children
	}
	return out
}

// childConfigs fills in the CHILD_SAs.
func (b *Builder) childConfigs(cfg *ike.Config) error {
	all := b.Children()
	if len(all) == 0 {
		return b.Connection.Pos.Errorf("connection %q has no child: add children { %s { remote_ts = … } }", b.Connection.Name, b.Connection.Name)
	}
	for _, ch := range all {
		if ch.Mode != "tunnel" {
			return ch.Pos.Errorf("child %q: mode = %s is not supported: use tunnel", ch.Name, ch.Mode)
		}
		cc := ike.ChildConfig{
			Name: ch.Name, Proposals: ch.ESPProposals, RekeyTime: ch.RekeyTime, LifeTime: ch.LifeTime, RandTime: ch.RandTime,
			Restart: restarts(ch.CloseAction),
		}
		if ch.RekeyTime == 0 && ch.LifeTime == 0 {
			cc.RandTime = 0
		}
		for _, ts := range ch.LocalTS {
			cc.LocalTS = append(cc.LocalTS, Selector(ts))
		}
		for _, ts := range ch.RemoteTS {
			cc.RemoteTS = append(cc.RemoteTS, Selector(ts))
		}
		cfg.Children = append(cfg.Children, cc)
	}
	return nil
}

func restarts(closeAction string) bool {
	a := NormalizeAction(closeAction)
	return a != "" && a != ActionTrap
}

// Selector returns a traffic selector of swanctl.conf as IKE has it.
func Selector(ts swanctl.TrafficSelector) ike.TrafficSelector {
	t := ike.DynamicSelector
	if !ts.Dynamic {
		t.TSType = message.TSIPv6Range
		if ts.From.Is4() {
			t.TSType = message.TSIPv4Range
		}
		t.Start, t.End = ts.From, ts.To
	}
	t.Protocol, t.StartPort, t.EndPort = ts.Protocol, ts.FromPort, ts.ToPort
	return t
}

// noRemoteAddress is the error of a connection without a gateway.
func noRemoteAddress(conn *swanctl.Connection) error {
	return conn.Pos.Errorf("connection %q has no remote_addrs: set it to the gateway's name or address", conn.Name)
}

// RemoteHosts returns the gateway's names and addresses of remote_addrs, in order.
func (p *Profile) RemoteHosts() ([]string, error) {
	hosts := p.Connection.RemoteHosts()
	if len(hosts) == 0 {
		return nil, noRemoteAddress(p.Connection)
	}
	return hosts, nil
}
