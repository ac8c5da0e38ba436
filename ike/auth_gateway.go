package ike

import (
	gocrypto "crypto"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// verifying is an AUTH payload of the gateway whose certificate is being
// verified.
type verifying struct {
	msg  *message.Message
	auth *message.Auth
	from state // to go on in
}

// gatewayRound takes the gateway's part of an IKE_AUTH response: who it says it
// is, and its proof. Then it goes on with ours.
func (m *Machine) gatewayRound(msg *message.Message) {
	idr, ok := message.First[*message.IDr](msg.Payloads)
	if !ok {
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without IDr", ErrProtocol))
		return
	}
	if m.remoteRound >= len(m.cfg.RemoteRounds) {
		m.failNotify(fmt.Errorf("%w: it wants to authenticate in round %d as '%s', but there are %d remote sections", ErrGatewayAuth, m.remoteRound+1, idr.Identity, len(m.cfg.RemoteRounds)))
		return
	}
	r := &m.cfg.RemoteRounds[m.remoteRound]
	if m.identified > m.remoteRound && !m.remoteID.Equal(idr.Identity) {
		// What EAP has verified, or is about to, is the identity of before.
		m.failNotify(fmt.Errorf("%w: it said that it is '%s', and now '%s', without having proved either", ErrGatewayAuth, m.remoteID, idr.Identity))
		return
	}
	m.identified = m.remoteRound + 1
	m.remoteID, m.idrBody = idr.Identity, idr.Body()
	if !r.Loose && identity.Matches(r.ID, idr.Identity) == identity.None {
		m.failNotify(fmt.Errorf("%w: it says it is '%s', expected '%s': compare remote.id", ErrGatewayAuth, idr.Identity, r.ID))
		return
	}
	auth, ok := message.First[*message.Auth](msg.Payloads)
	var err error
	switch {
	case !ok && r.Method != RemoteEAP:
		err = errNoSignature
	case r.Method == RemoteEAP && !m.eapRunning():
		err = errors.New("it should authenticate with EAP, but no EAP of ours is left")
	case !ok:
		m.ike.Info("allow mutual EAP-only authentication")
		m.gatewayDone(msg)
		return
	case r.Method == RemoteEAP:
		// The key of a mutual EAP method proves the gateway all the same
		// (RFC 5998 §4), and eapProof insists on it.
		log.Infof(m.ike, "ignoring %s of '%s', EAP authenticates it", auth.Method, m.remoteID)
		m.gatewayDone(msg)
		return
	case r.Method == RemotePSK:
		err = m.gatewayPSK(r, auth)
	case auth.Method == message.AuthSharedKey:
		err = errors.New("it used a preshared key, but remote.auth asks for a signature")
	default:
		p := certPayloads(msg)
		p.ID, p.Now = m.remoteID, m.now
		keys, verr := r.Verifier.Verify(p)
		if errors.Is(verr, ErrVerifyPending) {
			m.verifying, m.state = &verifying{msg: msg, auth: auth, from: m.state}, stateVerify
			return
		}
		if err = verr; err == nil {
			err = m.gatewaySignature(r, auth, keys)
		}
	}
	if err != nil {
		m.failNotify(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
		return
	}
	m.gatewayProved(msg)
}

// ResumeVerify delivers the answer of a Verifier that returned
// ErrVerifyPending.
func (m *Machine) ResumeVerify(now time.Time, keys []gocrypto.PublicKey, err error) Outputs {
	m.begin(now)
	if v := m.verifying; v != nil && m.state == stateVerify {
		m.verifying, m.state = nil, v.from
		if err == nil {
			err = m.gatewaySignature(&m.cfg.RemoteRounds[m.remoteRound], v.auth, keys)
		}
		if err != nil {
			m.failNotify(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
		} else {
			m.gatewayProved(v.msg)
		}
	}
	return m.end()
}

// gatewaySignature checks AUTH with the keys that the verifier found.
func (m *Machine) gatewaySignature(r *RemoteRound, auth *message.Auth, keys []gocrypto.PublicKey) error {
	err := errors.New("no public key of it is known")
	for _, k := range keys {
		var s signature.Scheme
		if s, err = signature.Verify(k, auth, m.gatewayOctets()); err == nil {
			err = r.Constraints.CheckIKE(s)
		}
		if err == nil {
			log.Infof(m.ike, "authentication of '%s' with %s successful", m.remoteID, s)
			return nil
		}
	}
	return err
}

func (m *Machine) gatewayPSK(r *RemoteRound, auth *message.Auth) error {
	if auth.Method != message.AuthSharedKey {
		return fmt.Errorf("it used a %s, but remote.auth asks for a preshared key", auth.Method)
	}
	key, err := r.PSK(m.remoteID)
	if err != nil {
		return err
	}
	if !crypto.VerifyShared(m.prf, key, m.gatewayOctets(), auth.Data) {
		m.ike.Info("tried to authenticate with pre-shared key, but MAC mismatched")
		return fmt.Errorf("its preshared key is another one than ours for '%s'", m.remoteID)
	}
	log.Infof(m.ike, "authentication of '%s' with pre-shared key successful", m.remoteID)
	return nil
}

// gatewayProved counts a round of the gateway.
func (m *Machine) gatewayProved(msg *message.Message) {
	m.remoteRound++
	m.signed = true
	m.gatewayDone(msg)
}

// gatewayDone goes on after the gateway's part.
func (m *Machine) gatewayDone(msg *message.Message) {
	m.remoteOpen = msg.Notify(message.AnotherAuthFollows) != nil
	if m.cfg.GatewayIdentified != nil {
		if err := m.cfg.GatewayIdentified(m.remoteID); err != nil {
			m.failNotify(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
			return
		}
	}
	m.ownRound(msg)
}
