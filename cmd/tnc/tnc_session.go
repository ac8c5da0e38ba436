package main

import (
	"math"
	"slices"

	"github.com/gotnc/gotnc/ike/eap/tnc"
)

// tncMethod configures EAP-TNC and PT-EAP. strongSwan's default of 10 packets
// breaks any longer measurement: the limit holds where it is set. fragment_size
// is ours: the largest EAP-TNC packet, for servers that reassemble.
func (c *connection) tncMethod() tnc.Config {
	v := c.strongswan.View("charon.plugins.eap-tnc")
	return tnc.Config{
		Session:      tncSession{c},
		FragmentSize: v.IntIn("fragment_size", 0, 64, 65535),
		MaxMessages:  v.IntIn("max_message_count", 0, 0, math.MaxInt32),
		Log:          c.logger,
	}
}

// tncSession is the TNC session as the EAP method sees it.
type tncSession struct{ c *connection }

var _ tnc.Accepter = tncSession{}

func (s tncSession) Begin(maxBatch int, t tnc.Transport) ([]byte, error) {
	s.c.progress.note("attestation begins")
	s.c.newSession()
	return s.c.session.Begin(maxBatch, t.Protocol, t.Version)
}

// newSession begins a session. The one before ends, unless an IKE_SA that stands
// rests on it: of an attempt that failed, or of a gateway that begins anew.
func (c *connection) newSession() {
	c.life.mu.Lock()
	before := c.session
	stands := before == nil || slices.ContainsFunc(c.life.runs, func(r *ikeRun) bool { return r.session == before })
	c.session, c.begun = c.client.NewSession(), true
	c.life.mu.Unlock()
	if !stands {
		_ = before.Close()
	}
}

// Accepts reports whether this side, where it measures the gateway, accepts it.
func (s tncSession) Accepts() bool {
	return !s.c.begun || s.c.session.PeerVerdict() == nil
}

func (s tncSession) Receive(batch []byte) ([]byte, error) {
	reply, err := s.c.session.Receive(batch)
	o := s.c.session.Outcome()
	s.c.progress.note("attestation, %d batches, %d octets sent", o.BatchesSent+o.BatchesReceived, o.BytesSent)
	return reply, err
}
