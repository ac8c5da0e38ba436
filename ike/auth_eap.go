package ike

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// EAP codes (RFC 3748 section 4).
const (
	eapCodeRequest = 1
	eapCodeSuccess = 3
	eapCodeFailure = 4
)

// eapUnfragmented is the largest EAP packet, in octets, where IKE fragmentation
// was not agreed on: with it a message still fits a datagram that no router
// has to cut. It is strongSwan's size too.
const eapUnfragmented = 1024

// limitEAP sets how large the packets of the EAP methods may be.
func (a *authentication) limitEAP() {
	for _, l := range a.cfg.LocalRounds {
		if s, ok := l.EAP.(eap.Sizer); ok && !a.fragments {
			s.SetFragmentSize(eapUnfragmented)
		}
	}
}

// eap returns the EAP method of our current round.
func (a *authentication) eap() EAP { return a.cfg.LocalRounds[a.own.done].EAP }

// eapRunning reports whether our current round is EAP.
func (a *authentication) eapRunning() bool {
	return a.own.done < len(a.cfg.LocalRounds) && a.eap() != nil
}

// eapRequest hands the EAP packet of an IKE_AUTH response to the method.
func (a *authentication) eapRequest(sa *ikeSA, msg *message.Message) {
	p, ok := message.First[*message.EAP](msg.Payloads)
	switch {
	case !ok && a.state == stateAuth:
		sa.reject(fmt.Errorf("%w: %w", ErrRefused, ErrNoEAPRequest))
		return
	case !ok:
		sa.reject(fmt.Errorf("%w: IKE_AUTH response without EAP", ErrProtocol))
		return
	}
	code := p.Packet[0]
	if code != eapCodeRequest && code != eapCodeSuccess && code != eapCodeFailure {
		sa.reject(fmt.Errorf("%w: EAP code %d", ErrProtocol, code))
		return
	}
	if a.own.eapRounds++; a.own.eapRounds > maxEAPRounds {
		sa.reject(fmt.Errorf("%w: more than %d EAP exchanges", ErrProtocol, maxEAPRounds))
		return
	}
	r := &EAPRequest{Method: a.eap(), Packet: p.Packet}
	r.w = a.await(stateEAPPending, 0, func(r Result) {
		if code == eapCodeFailure && r.status != EAPContinue {
			// The gateway has forgotten the IKE_SA: nothing is sent.
			if r.err == nil {
				r.err = errors.New("received EAP_FAILURE")
			}
			a.fail(fmt.Errorf("%w: %w", ErrEAP, r.err))
			return
		}
		a.eapAnswer(sa, r)
	})
	a.out.Work = append(a.out.Work, r)
}

// eapAnswer sends what the EAP method answered.
func (a *authentication) eapAnswer(sa *ikeSA, r Result) {
	response, err := r.response, r.err
	if err == nil && r.status == EAPFailure {
		err = errors.New("the method failed")
	}
	if err == nil && len(response) > 4 && !a.gateway.signed {
		if t := eap.Type(response[4]); t > eap.TypeNak && !t.Mutual() {
			// The answer gives a hash of the password, or the password, away.
			sa.reject(fmt.Errorf("%w: it asks for %s, but %w", ErrGatewayAuth, t, ErrUnproved))
			return
		}
	}
	switch {
	case err != nil && len(response) == 0:
		if errors.Is(err, eap.ErrFailure) {
			a.fail(fmt.Errorf("%w: %w", ErrEAP, err))
			return
		}
		sa.reject(fmt.Errorf("%w: %w", ErrEAP, err))
		return
	case err != nil:
		a.own.eapErr = fmt.Errorf("%w: %w", ErrEAP, err)
	case r.status == EAPSuccess:
		a.sendEAPProof(sa)
		return
	case r.status != EAPContinue || len(response) == 0:
		sa.reject(fmt.Errorf("%w: the method has no answer", ErrEAP))
		return
	}
	a.state = stateEAP
	sa.request(request{exchange: message.IKEAuth, payloads: []message.Payload{&message.EAP{Packet: response}}})
}

// sendEAPProof sends AUTH made with the MSK (RFC 7296 section 2.16).
func (a *authentication) sendEAPProof(sa *ikeSA) {
	msk := a.eap().MSK()
	if len(msk) == 0 && !a.gateway.signed {
		sa.reject(fmt.Errorf("%w: the EAP method derives no key, and the gateway did not sign (RFC 5998 section 4)", ErrGatewayAuth))
		return
	}
	ps, err := a.prove(sa, func(octets, skp []byte) (*message.Auth, error) {
		key := msk
		if len(key) == 0 {
			key = skp
		}
		return &message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(sa.prf, key, octets)}, nil
	})
	if err != nil {
		sa.reject(err)
		return
	}
	if a.own.done+1 < len(a.cfg.LocalRounds) {
		ps = append(ps, &message.Notify{NotifyType: message.AnotherAuthFollows})
	}
	log.Infof(a.ike, "authentication of '%s' (myself) with EAP", a.localID)
	a.state = stateAuthFinal
	sa.request(request{exchange: message.IKEAuth, payloads: ps})
}

// eapProof verifies the gateway's AUTH made with the MSK. With a key it is the
// gateway's round too, where that is EAP.
func (a *authentication) eapProof(sa *ikeSA, msg *message.Message) bool {
	auth, ok := message.First[*message.Auth](msg.Payloads)
	if !ok {
		sa.reject(fmt.Errorf("%w: IKE_AUTH response without AUTH", ErrGatewayAuth))
		return false
	}
	msk := a.eap().MSK()
	key := msk
	if len(key) == 0 {
		key = sa.keys.Pr
	}
	if auth.Method != message.AuthSharedKey || !crypto.VerifyShared(sa.prf, key, a.gatewayOctets(sa), auth.Data) {
		a.ike.Info("verification of AUTH payload with EAP MSK failed")
		sa.reject(fmt.Errorf("%w: its AUTH payload does not fit the EAP key", ErrGatewayAuth))
		return false
	}
	log.Infof(a.ike, "authentication of '%s' with EAP successful", a.remoteID)
	n := a.gateway.proved
	if len(msk) > 0 && n < len(a.cfg.RemoteRounds) && a.cfg.RemoteRounds[n].Method == RemoteEAP {
		a.gateway.proved++
	}
	return true
}
