package main

import (
	"slices"

	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/tnccs"
)

// tncSession is the TNC session as the EAP method sees it.
type tncSession struct{ c *connection }

var _ tnc.Judge = tncSession{}

func (s tncSession) Begin(maxBatch int, protocol, version string) ([]byte, error) {
	s.c.progress.note("attestation begins")
	s.c.newSession()
	return s.c.session.Begin(maxBatch, protocol, version)
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

// PeerVerdict returns what speaks against the gateway, where this side measures
// it and a session has begun.
func (s tncSession) PeerVerdict() error {
	if !s.c.begun {
		return nil
	}
	return s.c.session.PeerVerdict()
}

func (s tncSession) Receive(batch []byte) ([]byte, error) {
	reply, err := s.c.session.Receive(batch)
	o := s.c.session.Outcome()
	s.c.progress.note("attestation, %d batches, %d octets sent", o.BatchesSent+o.BatchesReceived, o.BytesSent)
	return reply, err
}

// peerVerdict returns what speaks against the gateway in mutual measurement, also
// where it asked for no attestation at all.
func (c *connection) peerVerdict() error {
	if c.begun {
		return c.session.PeerVerdict()
	}
	if c.Strongswan != nil && c.MutualRequired() {
		return tnccs.ErrPeerUnmeasured
	}
	return nil
}
