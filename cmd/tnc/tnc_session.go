package main

import (
	"math"

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
	s.c.session, s.c.begun = s.c.client.NewSession(), true
	return s.c.session.Begin(maxBatch, t.Protocol, t.Version)
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
