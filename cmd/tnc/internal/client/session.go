package client

import (
	"slices"

	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/tnccs"
)

// tncSession is the TNC session as the EAP method sees it: the newest of the
// Client.
type tncSession struct{ c *Client }

var _ tnc.Judge = tncSession{}

// Begin makes a new session and returns its first batch.
func (s tncSession) Begin(maxBatch int, protocol, version string) ([]byte, error) {
	s.c.progress("attestation begins")
	return s.c.newSession().Begin(maxBatch, protocol, version)
}

// newSession makes a session. The previous one is closed, unless an IKE_SA that is
// up belongs to it: it was of an attempt that failed, or of a gateway that starts
// over.
func (c *Client) newSession() *tnccs.Session {
	s := &c.state
	s.mu.Lock()
	previous := s.session
	needed := previous == nil || slices.ContainsFunc(s.runs, func(r *ikeRun) bool { return r.session == previous })
	session := c.tnc.NewSession()
	s.session, s.begun = session, true
	s.mu.Unlock()
	if !needed {
		_ = previous.Close()
	}
	return session
}

// PeerVerdict returns what speaks against the gateway, where this end measures it
// and a session has begun.
func (s tncSession) PeerVerdict() error {
	if session, begun := s.c.state.newestSession(); begun {
		return session.PeerVerdict()
	}
	return nil
}

// Receive gives a batch to the session and returns the answer.
func (s tncSession) Receive(batch []byte) ([]byte, error) {
	session, _ := s.c.state.newestSession()
	reply, err := session.Receive(batch)
	o := session.Outcome()
	s.c.progress("attestation, %d batches, %d octets sent", o.BatchesSent+o.BatchesReceived, o.BytesSent)
	return reply, err
}

// peerVerdict returns what speaks against the gateway in mutual measurement, also
// where it asked for no attestation at all.
func (c *Client) peerVerdict() error {
	if session, begun := c.state.newestSession(); begun {
		return session.PeerVerdict()
	}
	if c.profile.MutualRequired() {
		return tnccs.ErrPeerUnmeasured
	}
	return nil
}
