package ike

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
)

// eapCodeFailure and eapCodeRequest are EAP codes (RFC 3748 §4).
const (
	eapCodeRequest = 1
	eapCodeSuccess = 3
	eapCodeFailure = 4
)

// sendAuth sends the first IKE_AUTH request, without AUTH: that asks for EAP
// (RFC 7296 §2.16).
func (m *Machine) sendAuth() error {
	m.ike.Info(fmt.Sprintf("establishing CHILD_SA %s{1}", m.cfg.childName()))
	ps := []message.Payload{&message.IDi{Identity: m.cfg.LocalID}}
	if !m.cfg.NoInitialContact {
		ps = append(ps, &message.Notify{NotifyType: message.InitialContact})
	}
	if m.cfg.SendCertReq && len(m.cfg.CertReqKeys) > 0 {
		req := &message.CertRequest{Encoding: message.CertX509Signature}
		for _, k := range m.cfg.CertReqKeys {
			req.Data = append(req.Data, k...)
		}
		ps = append(ps, req)
	}
	if !IsPattern(m.cfg.RemoteID) {
		ps = append(ps, &message.IDr{Identity: m.cfg.RemoteID})
	}
	child, err := m.childPayloads()
	if err != nil {
		return err
	}
	ps = append(ps, child...)
	if m.cfg.RemoteAuth == RemoteEAP {
		ps = append(ps, &message.Notify{NotifyType: message.EAPOnlyAuthentication})
	}
	m.state = stateAuth
	m.request(request{exchange: message.IKEAuth, payloads: ps})
	return nil
}

// refusedBy turns an error notify of an IKE_AUTH response into a reason.
func refusedBy(n *message.Notify) error {
	if n.NotifyType == message.AuthenticationFailed {
		return fmt.Errorf("%w (%s): check local.id, remote.id, the EAP identity and secret, and the gateway's log", ErrAuthFailed, n.NotifyType)
	}
	return fmt.Errorf("%w: %s", ErrRefused, n.NotifyType)
}

// authAnswer handles the first IKE_AUTH response: who the gateway says it is,
// perhaps its signature, and the first EAP request.
func (m *Machine) authAnswer(msg *message.Message) {
	if n := msg.ErrorNotify(); n != nil {
		m.ike.Info(fmt.Sprintf("received %s notify error", n.NotifyType))
		m.fail(refusedBy(n))
		return
	}
	idr, ok := message.First[*message.IDr](msg.Payloads)
	if !ok {
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without IDr", ErrProtocol))
		return
	}
	m.remoteID, m.idrBody = idr.Identity, idr.Body()
	if !MatchIdentity(m.cfg.RemoteID, idr.Identity) {
		m.failNotify(fmt.Errorf("%w: it says it is '%s', expected '%s': compare remote.id", ErrGatewayAuth, idr.Identity, m.cfg.RemoteID))
		return
	}
	if err := m.gatewaySignature(msg); err != nil {
		m.failNotify(err)
		return
	}
	if m.cfg.GatewayIdentified != nil {
		if err := m.cfg.GatewayIdentified(idr.Identity); err != nil {
			m.failNotify(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
			return
		}
	}
	if _, ok := message.First[*message.EAP](msg.Payloads); !ok {
		m.failNotify(fmt.Errorf("%w: it asks for no EAP authentication: check that the gateway's connection uses EAP for us", ErrRefused))
		return
	}
	m.eapRequest(msg)
}

// gatewaySignature deals with the AUTH payload of the first IKE_AUTH response.
func (m *Machine) gatewaySignature(msg *message.Message) error {
	auth, ok := message.First[*message.Auth](msg.Payloads)
	if !ok {
		if m.cfg.RemoteAuth == RemotePubkey {
			return fmt.Errorf("%w: it sent no signature: set remote.auth = eap-ttls if it authenticates by EAP only", ErrGatewayAuth)
		}
		m.ike.Info("allow mutual EAP-only authentication")
		return nil
	}
	if m.cfg.RemoteAuth == RemoteEAP && m.cfg.Roots == nil {
		// The key of a mutual EAP method proves the gateway all the same
		// (RFC 5998 §4), and finalAnswer insists on it.
		m.ike.Info(fmt.Sprintf("ignoring %s of '%s', EAP authenticates it", auth.Method, m.remoteID))
		return nil
	}
	octets := crypto.SignedOctets(m.prf, m.keys.Pr, m.initResponse, m.ni, m.idrBody, m.intAuth.octets)
	var certs [][]byte
	for _, c := range message.All[*message.Cert](msg.Payloads) {
		if c.Encoding == message.CertX509Signature {
			certs = append(certs, c.Data)
		}
	}
	leaf, err := verifyCertificate(certs, m.cfg.Roots, m.remoteID, m.now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGatewayAuth, err)
	}
	if err := verifySignature(leaf.PublicKey, auth, octets); err != nil {
		return fmt.Errorf("%w: %w", ErrGatewayAuth, err)
	}
	m.signed = true
	m.ike.Info(fmt.Sprintf("authentication of '%s' with %s successful", m.remoteID, auth.Method))
	return nil
}

// eapRequest hands the EAP packet of an IKE_AUTH response to the method.
func (m *Machine) eapRequest(msg *message.Message) {
	p, ok := message.First[*message.EAP](msg.Payloads)
	if m.eapErr != nil {
		m.fail(m.eapErr)
		return
	}
	if !ok {
		if n := msg.ErrorNotify(); n != nil {
			m.ike.Info(fmt.Sprintf("received %s notify error", n.NotifyType))
			m.fail(refusedBy(n))
			return
		}
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without EAP", ErrProtocol))
		return
	}
	if code := p.Packet[0]; code != eapCodeRequest && code != eapCodeSuccess && code != eapCodeFailure {
		m.failNotify(fmt.Errorf("%w: EAP code %d", ErrProtocol, code))
		return
	}
	if m.eapRounds++; m.eapRounds > maxEAPRounds {
		m.failNotify(fmt.Errorf("%w: more than %d EAP exchanges", ErrProtocol, maxEAPRounds))
		return
	}
	m.state = stateEAPPending
	ended := p.Packet[0] == eapCodeFailure
	response, status, err := m.cfg.EAP.Handle(p.Packet)
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
		m.sendFinal()
		return
	case status != EAPContinue || len(response) == 0:
		m.failNotify(fmt.Errorf("%w: the method has no answer", ErrEAP))
		return
	}
	m.state = stateEAP
	m.request(request{exchange: message.IKEAuth, payloads: []message.Payload{&message.EAP{Packet: response}}})
}

// sendFinal sends AUTH made with the MSK (RFC 7296 §2.16).
func (m *Machine) sendFinal() {
	msk := m.cfg.EAP.MSK()
	if len(msk) == 0 && !m.signed {
		m.failNotify(fmt.Errorf("%w: the EAP method derives no key, and the gateway did not sign (RFC 5998 §4)", ErrGatewayAuth))
		return
	}
	key := msk
	if len(key) == 0 {
		key = m.keys.Pi
	}
	octets := crypto.SignedOctets(m.prf, m.keys.Pi, m.initRequest, m.nr, m.idiBody, m.intAuth.octets)
	m.ike.Info(fmt.Sprintf("authentication of '%s' (myself) with EAP", m.cfg.LocalID))
	m.state = stateAuthFinal
	m.request(request{exchange: message.IKEAuth, payloads: []message.Payload{
		&message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(m.prf, key, octets)}}})
}

// finalAnswer verifies the gateway's AUTH and takes the CHILD_SA.
func (m *Machine) finalAnswer(msg *message.Message) {
	auth, ok := message.First[*message.Auth](msg.Payloads)
	if !ok {
		if n := msg.ErrorNotify(); n != nil {
			m.ike.Info(fmt.Sprintf("received %s notify error", n.NotifyType))
			m.fail(refusedBy(n))
			return
		}
		m.failNotify(fmt.Errorf("%w: IKE_AUTH response without AUTH", ErrGatewayAuth))
		return
	}
	key := m.cfg.EAP.MSK()
	if len(key) == 0 {
		key = m.keys.Pr
	}
	octets := crypto.SignedOctets(m.prf, m.keys.Pr, m.initResponse, m.ni, m.idrBody, m.intAuth.octets)
	if auth.Method != message.AuthSharedKey || !crypto.VerifyShared(m.prf, key, octets, auth.Data) {
		m.ike.Info("verification of AUTH payload with EAP MSK failed")
		m.failNotify(fmt.Errorf("%w: its AUTH payload does not fit the EAP key", ErrGatewayAuth))
		return
	}
	m.ike.Info(fmt.Sprintf("authentication of '%s' with EAP successful", m.remoteID))
	m.state = stateEstablished
	m.ike.Info(fmt.Sprintf("IKE_SA %s established between %s", m.name(), m.ends()))
	m.emit(Established{
		SPIi: uint64(m.spii), SPIr: uint64(m.spir), Suite: suiteName("IKE", m.suite), Local: m.local, Remote: m.remote,
		RemoteID: m.remoteID, NATLocal: m.natLocal, NATRemote: m.natRemote,
	})
	m.childAnswer(msg)
	clear(m.keys.Pi)
	clear(m.keys.Pr)
	m.initRequest, m.initResponse = nil, nil
}
