package ike

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// sendAuth sends the first IKE_AUTH request: the first round of ours, and what
// the CHILD_SA is to be (RFC 7296 §1.2, §2.16).
func (m *Machine) sendAuth() error {
	log.Infof(m.ike, "establishing CHILD_SA %s{1}", m.cfg.childName())
	if len(m.cfg.LocalRounds) > 1 && !m.multiAuth {
		return fmt.Errorf("%w: it does not support several authentications (RFC 4739), which this connection has", ErrRefused)
	}
	id, auth, err := m.beginRound()
	if err != nil {
		return err
	}
	ps := id
	if !m.cfg.NoInitialContact {
		ps = append(ps, &message.Notify{NotifyType: message.InitialContact})
	}
	if m.cfg.SendCertReq && len(m.cfg.CertReqKeys) > 0 {
		req := &message.CertRequest{Encoding: message.CertX509Signature, Data: bytes.Join(m.cfg.CertReqKeys, nil)}
		ps = append(ps, req)
		if m.cfg.RequestOCSP {
			// No responder is named: any that the CA vouches for will do (RFC 4806 §3.1).
			ps = append(ps, &message.CertRequest{Encoding: message.CertOCSP})
		}
	}
	if r := &m.cfg.RemoteRounds[0]; !r.Loose && !identity.IsPattern(r.ID) {
		ps = append(ps, &message.IDr{Identity: r.ID})
	}
	ps = append(ps, auth...)
	child, err := m.childPayloads()
	if err != nil {
		return err
	}
	ps = append(ps, child...)
	if m.multiAuth {
		ps = append(ps, &message.Notify{NotifyType: message.MultipleAuthSupported})
	}
	if m.cfg.RemoteRounds[0].Method == RemoteEAP {
		ps = append(ps, &message.Notify{NotifyType: message.EAPOnlyAuthentication})
	}
	m.remoteOpen = true
	m.state = stateAuth
	m.request(request{exchange: message.IKEAuth, payloads: ps})
	return nil
}

// beginRound makes IDi and CERT, and where the round needs no EAP the AUTH of
// the next round of ours.
func (m *Machine) beginRound() (id, auth []message.Payload, err error) {
	l := &m.cfg.LocalRounds[m.localRound]
	m.localID, m.idiBody = l.ID, l.ID.Body()
	m.eapRounds, m.eapErr = 0, nil
	id = []message.Payload{&message.IDi{Identity: l.ID}}
	switch {
	case l.EAP != nil:
		return id, nil, nil
	case len(l.PSK) > 0:
		log.Infof(m.ike, "authentication of '%s' (myself) with pre-shared key", l.ID)
		auth, err = m.prove(func(octets, _ []byte) (*message.Auth, error) {
			return &message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(m.prf, l.PSK, octets)}, nil
		})
	default:
		c := m.credential(l.Credentials)
		id = append(id, m.ownCerts(c)...)
		o := l.Signature
		o.PeerHashes = m.peerHashes
		var scheme signature.Scheme
		auth, err = m.prove(func(octets, _ []byte) (a *message.Auth, err error) {
			a, scheme, err = signature.Sign(m.rand, c.Key, octets, o)
			return a, err
		})
		if err == nil {
			log.Infof(m.ike, "authentication of '%s' (myself) with %s successful", l.ID, scheme)
		}
	}
	if err == nil && m.localRound+1 < len(m.cfg.LocalRounds) {
		auth = append(auth, &message.Notify{NotifyType: message.AnotherAuthFollows})
	}
	return id, auth, err
}

// refusedBy turns an error notify of an IKE_AUTH response into a reason.
func (m *Machine) refusedBy(n *message.Notify) error {
	if n.NotifyType != message.AuthenticationFailed {
		return fmt.Errorf("%w: %s", ErrRefused, n.NotifyType)
	}
	check := "our certificate and key"
	if l := &m.cfg.LocalRounds[min(m.localRound, len(m.cfg.LocalRounds)-1)]; l.EAP != nil {
		check = "the EAP identity and secret"
	} else if len(l.PSK) > 0 {
		check = "the preshared key"
	}
	return fmt.Errorf("%w (%s): check local.id, remote.id, %s, and the gateway's log", ErrAuthFailed, n.NotifyType, check)
}

// authAnswer handles an IKE_AUTH response: first what the gateway proves, then
// how our own authentication goes on.
func (m *Machine) authAnswer(msg *message.Message) {
	if m.eapErr != nil {
		m.fail(m.eapErr)
		return
	}
	if n := msg.ErrorNotify(); n != nil && !proves(msg) {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		m.fail(m.refusedBy(n))
		return
	}
	m.noteCertRequests(msg)
	if err := m.confirmPPK(msg); err != nil {
		m.failNotify(err)
		return
	}
	if m.remoteOpen && m.state != stateAuthFinal {
		m.gatewayRound(msg)
		return
	}
	m.ownRound(msg)
}

// proves reports whether a response is more than a refusal: an error about the
// CHILD_SA may stand beside AUTH, an identity beside a refusal.
func proves(msg *message.Message) bool {
	for _, p := range msg.Payloads {
		switch p.(type) {
		case *message.Auth, *message.EAP:
			return true
		}
	}
	return false
}

// ownRound carries our own authentication on.
func (m *Machine) ownRound(msg *message.Message) {
	switch {
	case m.localRound == len(m.cfg.LocalRounds):
		m.nextRound(msg) // only the gateway had rounds left
	case m.state == stateAuthFinal:
		if m.eapProof(msg) {
			m.roundDone(msg)
		}
	case m.cfg.LocalRounds[m.localRound].EAP != nil:
		m.eapRequest(msg)
	default:
		m.roundDone(msg) // the gateway took AUTH
	}
}

func (m *Machine) roundDone(msg *message.Message) {
	m.localRound++
	m.nextRound(msg)
}

// nextRound begins the next round of ours, waits for one of the gateway, or
// ends the authentication.
func (m *Machine) nextRound(msg *message.Message) {
	m.state = stateAuth
	switch {
	case m.localRound < len(m.cfg.LocalRounds):
		id, auth, err := m.beginRound()
		if err != nil {
			m.failNotify(err)
			return
		}
		m.request(request{exchange: message.IKEAuth, payloads: append(id, auth...)})
	case m.remoteOpen:
		if m.idle++; m.idle > maxIdleAuth {
			m.failNotify(fmt.Errorf("%w: it announces authentications without end", ErrProtocol))
			return
		}
		m.request(request{exchange: message.IKEAuth})
	default:
		m.authenticated(msg)
	}
}

// authenticated ends IKE_AUTH, where the gateway has shown all that it has to.
func (m *Machine) authenticated(msg *message.Message) {
	if n := len(m.cfg.RemoteRounds); m.remoteRound < n {
		m.failNotify(fmt.Errorf("%w: it authenticated in %d of %d rounds: compare the remote sections with its local ones", ErrGatewayAuth, m.remoteRound, n))
		return
	}
	m.state = stateEstablished
	log.Infof(m.ike, "IKE_SA %s established between %s", m.name(), m.ends())
	m.emit(Established{
		SPIi: uint64(m.spii), SPIr: uint64(m.spir), Suite: suiteName("IKE", m.suite), Local: m.local, Remote: m.remote,
		RemoteID: m.remoteID, NATLocal: m.natLocal, NATRemote: m.natRemote,
	})
	m.childAnswer(msg)
	clear(m.keys.Pi)
	clear(m.keys.Pr)
	m.initRequest, m.initResponse = nil, nil
}

var errNoSignature = errors.New("it sent no signature: set remote.auth = eap-ttls if it authenticates by EAP only")
