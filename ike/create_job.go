package ike

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of nonces in octets, RFC 7296 section 3.9.
const (
	minNonce = 16
	maxNonce = 256
)

// createJob is a CREATE_CHILD_SA exchange that we start: for a new IKE_SA, or
// for a new or rekeyed CHILD_SA. The CHILD_SA of IKE_AUTH is one without
// exchange of its own.
type createJob struct {
	proposals []message.Proposal
	nonce     []byte
	ke        crypto.KeyExchange // nil = none
	tried     map[message.KEMethod]bool

	more followUp

	spi message.SPI // of the new IKE_SA

	cfg           *childConfig
	child         *childState // that is rekeyed; nil = a new one
	spiIn         uint32
	local, remote []TrafficSelector
}

// zero forgets the key exchange values.
func (j *createJob) zero() {
	j.more.zero()
	if j.ke != nil {
		j.ke.Zero()
		j.ke = nil
	}
}

// begin draws the nonce and the first key exchange value.
func (j *createJob) begin(c *core, method message.KEMethod) (err error) {
	if err := j.setKE(c, method); err != nil {
		return err
	}
	j.nonce, err = c.random(nonceSize)
	return err
}

// setKE makes a fresh key exchange value; KENone = none.
func (j *createJob) setKE(c *core, method message.KEMethod) error {
	j.zero()
	if method == message.KENone {
		return nil
	}
	ke, err := crypto.NewKeyExchange(method, c.rand)
	if err != nil {
		return fmt.Errorf("make key exchange value: %w", err)
	}
	j.ke = ke
	if j.tried == nil {
		j.tried = map[message.KEMethod]bool{}
	}
	j.tried[method] = true
	return nil
}

// retryKE handles INVALID_KE_PAYLOAD: it reports whether the request is to be
// sent again with a value of the method that the peer wants.
func (j *createJob) retryKE(c *core, msg *message.Message) (again bool, err error) {
	n := msg.Notify(message.InvalidKEPayload)
	if n == nil {
		return false, nil
	}
	want, err := n.WantedKE()
	if err != nil || !crypto.OffersKE(j.proposals, want) || j.tried[want] {
		return false, nil
	}
	log.Infof(c.ike, "peer didn't accept key exchange method %s, it requested %s", j.ke.Method(), want)
	return true, j.setKE(c, want)
}

// nonceOf returns a copy of the nonce of a message; false where it has none of
// valid length.
func nonceOf(msg *message.Message) ([]byte, bool) {
	n, ok := message.First[*message.Nonce](msg.Payloads)
	if !ok || len(n.Data) < minNonce || len(n.Data) > maxNonce {
		return nil, false
	}
	return clone(n.Data), true
}

// lowest returns the smaller of two nonces, compared octet by octet (RFC 7296
// section 2.8.1).
func lowest(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}
