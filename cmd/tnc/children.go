package main

import (
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// firstChild is the CHILD_SA that is set up with the IKE_SA; nil where none is
// configured.
func (c *connection) firstChild() *swanctl.Child {
	if l := c.children(); len(l) > 0 {
		return l[0]
	}
	return nil
}

// children are those to set up: those with a start_action, or all where none
// has one.
func (c *connection) children() []*swanctl.Child {
	var out []*swanctl.Child
	for _, ch := range c.conn.Children {
		if ch.StartAction != "" && ch.StartAction != "none" {
			out = append(out, ch)
		}
	}
	if len(out) == 0 {
		return c.conn.Children
	}
	return out
}

func (c *connection) childConfig(cfg *ike.Config) error {
	all := c.children()
	if len(all) == 0 {
		return c.conn.Pos.Errorf("connection %q has no child: add children { %s { remote_ts = … } }", c.conn.Name, c.conn.Name)
	}
	for i, ch := range all {
		if ch.Mode != "tunnel" {
			return ch.Pos.Errorf("child %q: mode = %s is not supported: use tunnel", ch.Name, ch.Mode)
		}
		cc := ike.ChildConfig{
			Name: ch.Name, Proposals: ch.ESPProposals, RekeyTime: ch.RekeyTime, LifeTime: ch.LifeTime, RandTime: ch.RandTime,
			Restart: follows(ch.CloseAction) != "" && follows(ch.CloseAction) != actionTrap,
		}
		if ch.RekeyTime == 0 && ch.LifeTime == 0 {
			cc.RandTime = 0
		}
		for _, ts := range ch.LocalTS {
			cc.LocalTS = append(cc.LocalTS, selector(ts))
		}
		for _, ts := range ch.RemoteTS {
			cc.RemoteTS = append(cc.RemoteTS, selector(ts))
		}
		if i == 0 {
			cfg.Child = cc
		} else {
			cfg.Children = append(cfg.Children, cc)
		}
	}
	return nil
}

func selector(ts swanctl.TrafficSelector) ike.TrafficSelector {
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

func selectorNames(ts []ike.TrafficSelector) []string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.String()
	}
	return names
}
