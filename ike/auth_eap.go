package ike

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// eapCodeFailure and eapCodeRequest are EAP codes (RFC 3748 §4).
const (
	eapCodeRequest = 1
	eapCodeSuccess = 3
	eapCodeFailure = 4
)

// eap is the EAP method of the current round of ours.
func (m *Machine) eap() EAP { return m.cfg.LocalRounds[m.localRound].EAP }

// eapRunning reports whether the current round of ours is EAP.
func (m *Machine) eapRunning() bool {
	return m.localRound < len(m.cfg.LocalRounds) && m.eap() != nil
}

// eapRequest hands the EAP packet of an IKE_AUTH response to the method.
func (m *Machine) eapRequest(msg *message.Message) {
	p, ok := message.First[*message.EAP](msg.Payloads)
	switch {
	case !ok && m.state == stateAuth:
		m.failNotify(fmt.Errorf("%w: it asks for no EAP authentication: check that the gateway's connection uses EAP for us", ErrRefused))
		return
	case !ok:
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without EAP", ErrProtocol))
		return
	}
	code := p.Packet[0]
	if code != eapCodeRequest && code != eapCodeSuccess && code != eapCodeFailure {
		m.failNotify(fmt.Errorf("%w: EAP code %d", ErrProtocol, code))
		return
	}
	if m.eapRounds++; m.eapRounds > maxEAPRounds {
		m.failNotify(fmt.Errorf("%w: more than %d EAP exchanges", ErrProtocol, maxEAPRounds))
		return
	}
	m.state = stateEAPPending
	ended := code == eapCodeFailure
	response, status, err := m.eap().Handle(p.Packet)
	if status == EAPPending && err == nil {
		return
	}
	if ended && status != EAPContinue {
		// The gateway has forgotten the IKE_SA: nothing is sent.
		if err == nil {
			err = errors.New("received EAP_FAILURE")
		}
		m.fail(fmt.Errorf("%w: %w", ErrEAP, err))
		return
	}
	m.eapAnswer(response, status, err)
}

// eapAnswer sends what the EAP method answered.
func (m *Machine) eapAnswer(response []byte, status EAPStatus, err error) {
	if err == nil && status == EAPFailure {
		err = errors.New("the method failed")
	}
	if err == nil && len(response) > 4 && !m.signed {
		if t := eap.Type(response[4]); t > eap.TypeNak && !t.Mutual() {
			// The answer gives a hash of the password, or the password, away.
			m.failNotify(fmt.Errorf("%w: it asks for %s and has not proved who it is: let it authenticate with a certificate (remote.auth = pubkey), or use eap-ttls", ErrGatewayAuth, t))
			return
		}
	}
	switch {
	case err != nil && len(response) == 0:
		if errors.Is(err, eap.ErrFailure) {
			m.fail(fmt.Errorf("%w: %w", ErrEAP, err))
			return
		}
		m.failNotify(fmt.Errorf("%w: %w", ErrEAP, err))
		return
	case err != nil:
		m.eapErr = fmt.Errorf("%w: %w", ErrEAP, err)
	case status == EAPSuccess:
		m.sendEAPProof()
		return
	case status != EAPContinue || len(response) == 0:
		m.failNotify(fmt.Errorf("%w: the method has no answer", ErrEAP))
		return
	}
	m.state = stateEAP
	m.request(request{exchange: message.IKEAuth, payloads: []message.Payload{&message.EAP{Packet: response}}})
}

// sendEAPProof sends AUTH made with the MSK (RFC 7296 §2.16).
func (m *Machine) sendEAPProof() {
	msk := m.eap().MSK()
	if len(msk) == 0 && !m.signed {
		m.failNotify(fmt.Errorf("%w: the EAP method derives no key, and the gateway did not sign (RFC 5998 §4)", ErrGatewayAuth))
		return
	}
	ps, err := m.prove(func(octets, skp []byte) (*message.Auth, error) {
		key := msk
		if len(key) == 0 {
			key = skp
		}
		return &message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(m.prf, key, octets)}, nil
	})
	if err != nil {
		m.failNotify(err)
		return
	}
	if m.localRound+1 < len(m.cfg.LocalRounds) {
		ps = append(ps, &message.Notify{NotifyType: message.AnotherAuthFollows})
	}
	log.Infof(m.ike, "authentication of '%s' (myself) with EAP", m.localID)
	m.state = stateAuthFinal
	m.request(request{exchange: message.IKEAuth, payloads: ps})
}

// eapProof verifies the gateway's AUTH made with the MSK. With a key it is the
// gateway's round too, where that is EAP.
func (m *Machine) eapProof(msg *message.Message) bool {
	auth, ok := message.First[*message.Auth](msg.Payloads)
	if !ok {
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without AUTH", ErrGatewayAuth))
		return false
	}
	msk := m.eap().MSK()
	key := msk
	if len(key) == 0 {
		key = m.keys.Pr
	}
	if auth.Method != message.AuthSharedKey || !crypto.VerifyShared(m.prf, key, m.gatewayOctets(), auth.Data) {
		m.ike.Info("verification of AUTH payload with EAP MSK failed")
		m.failNotify(fmt.Errorf("%w: its AUTH payload does not fit the EAP key", ErrGatewayAuth))
		return false
	}
	log.Infof(m.ike, "authentication of '%s' with EAP successful", m.remoteID)
	if len(msk) > 0 && m.remoteRound < len(m.cfg.RemoteRounds) && m.cfg.RemoteRounds[m.remoteRound].Method == RemoteEAP {
		m.remoteRound++
	}
	return true
}
