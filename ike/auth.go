package ike

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// authentication is IKE_AUTH: our rounds and the gateway's (RFC 7296 section
// 1.2 and 2.16, RFC 4739).
type authentication struct {
	*core
	init     *initExchange
	children *childSet

	peer    abilities
	ppk     ppkUse
	own     ownRounds
	gateway gatewayRounds

	sent        bool     // the first IKE_AUTH request went out
	waiting     *waiting // the Work that was given out; nil = none
	established *message.Message
}

// abilities is what the gateway says of itself before IKE_AUTH.
type abilities struct {
	multiAuth   bool             // it knows RFC 4739
	hashes      []signature.Hash // of SIGNATURE_HASH_ALGORITHMS; nil = it sent none
	certAsked   bool             // it sent CERTREQ
	looksUp     bool             // it fetches certificates that are named by hash and URL
	ocspAsked   bool             // it asks for OCSP responses beside the certificate
	authorities [][]byte         // that it asked certificates of
}

// ownRounds is how far our authentication has come.
type ownRounds struct {
	done      int // rounds that are complete; the index of the current one
	idi       []byte
	eapRounds int
	eapErr    error // the EAP failure that is being reported to the gateway
	idle      int   // exchanges that only waited for rounds of the gateway
}

// start sends the first IKE_AUTH request: our first round, and what the CHILD_SA
// is to be.
func (a *authentication) start(sa *ikeSA) error {
	log.Infof(a.ike, "establishing CHILD_SA %s{1}", a.children.configured[0].Name)
	if len(a.cfg.LocalRounds) > 1 && !a.peer.multiAuth {
		return fmt.Errorf("%w: it does not support several authentications (RFC 4739), which this connection has", ErrRefused)
	}
	a.state = stateAuth
	return a.startRound(sa)
}

// startRound begins our next round, after the OCSP responses and the signature that
// it needs.
func (a *authentication) startRound(sa *ikeSA) error {
	l := &a.cfg.LocalRounds[a.own.done]
	a.localID, a.own.idi = l.ID, l.ID.Body()
	a.own.eapRounds, a.own.eapErr = 0, nil
	switch {
	case l.EAP != nil:
		return a.sendRound(sa, l, nil, nil)
	case len(l.PSK) > 0:
		log.Infof(a.ike, "authentication of '%s' (myself) with pre-shared key", l.ID)
		auth, err := a.prove(sa, func(octets, _ []byte) (*message.Auth, error) {
			return &message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(sa.prf, l.PSK, octets)}, nil
		})
		if err != nil {
			return err
		}
		return a.sendRound(sa, l, nil, auth)
	}
	c := a.credential(l.Credentials)
	sign := signing{a, sa, l, c}
	if !a.wantsStatus(c) {
		return sign.start(nil)
	}
	r := &StatusRequest{Credential: c}
	r.w = a.await(stateStatus, statusTimeout, func(r Result) {
		if err := sign.start(r.responses); err != nil {
			a.refuse(sa, err)
		}
	})
	a.out.Work = append(a.out.Work, r)
	return nil
}

// refuse ends the IKE_SA, with a notify where the gateway takes part in IKE_AUTH.
func (a *authentication) refuse(sa *ikeSA, err error) {
	if a.sent {
		sa.reject(err)
		return
	}
	a.fail(err)
}

// sendRound sends the request that begins our round l, with its CERT payloads and,
// unless it is EAP, its AUTH and the notifies beside that.
func (a *authentication) sendRound(sa *ikeSA, l *LocalRound, certs, auth []message.Payload) (err error) {
	id := append([]message.Payload{&message.IDi{Identity: l.ID}}, certs...)
	if l.EAP == nil && a.own.done+1 < len(a.cfg.LocalRounds) {
		auth = append(auth, &message.Notify{NotifyType: message.AnotherAuthFollows})
	}
	ps := append(id, auth...)
	if !a.sent {
		if ps, err = a.firstPayloads(id, auth); err != nil {
			return err
		}
		a.sent, a.gateway.open = true, true
	}
	a.state = stateAuth
	sa.request(request{exchange: message.IKEAuth, payloads: ps})
	return nil
}

// firstPayloads completes the first IKE_AUTH request.
func (a *authentication) firstPayloads(id, auth []message.Payload) ([]message.Payload, error) {
	ps := id
	if !a.cfg.Authentication.NoInitialContact {
		ps = append(ps, &message.Notify{NotifyType: message.InitialContact})
	}
	if a.cfg.Authentication.SendCertReq && len(a.cfg.Authentication.CertReqKeys) > 0 {
		req := &message.CertRequest{Encoding: message.CertX509Signature, Data: bytes.Join(a.cfg.Authentication.CertReqKeys, nil)}
		ps = append(ps, req)
		if a.cfg.Authentication.FetchCert != nil {
			ps = append(ps, &message.Notify{NotifyType: message.HTTPCertLookupSupported})
		}
		if a.cfg.Authentication.RequestOCSP {
			// No responder is named: any that the CA vouches for will do (RFC 4806
			// section 3.1).
			ps = append(ps, &message.CertRequest{Encoding: message.CertOCSP})
		}
	}
	if r := &a.cfg.RemoteRounds[0]; !r.Loose && !identity.IsPattern(r.ID) {
		ps = append(ps, &message.IDr{Identity: r.ID})
	}
	ps = append(ps, auth...)
	child, err := a.children.firstPayloads()
	if err != nil {
		return nil, err
	}
	ps = append(ps, child...)
	if a.peer.multiAuth {
		ps = append(ps, &message.Notify{NotifyType: message.MultipleAuthSupported})
	}
	if a.cfg.RemoteRounds[0].Method == RemoteEAP {
		ps = append(ps, &message.Notify{NotifyType: message.EAPOnlyAuthentication})
	}
	return ps, nil
}

// refusal turns an error notify that refuses us into a reason. l is the round
// that was under way.
func refusal(t message.NotifyType, l *LocalRound) error {
	if t != message.AuthenticationFailed {
		return fmt.Errorf("%w: %s", ErrRefused, t)
	}
	return &AuthRefusedError{Method: l.method()}
}

// refused is refusal for our current round, or the last one.
func (a *authentication) refused(n *message.Notify) error {
	return refusal(n.NotifyType, &a.cfg.LocalRounds[min(a.own.done, len(a.cfg.LocalRounds)-1)])
}

// answer handles an IKE_AUTH response: first what the gateway proves, then how
// our own authentication goes on.
func (a *authentication) answer(sa *ikeSA, msg *message.Message) {
	if a.own.eapErr != nil {
		a.fail(a.own.eapErr)
		return
	}
	if n := msg.ErrorNotify(); n != nil && !proves(msg) {
		log.Infof(a.ike, "received %s notify error", n.NotifyType)
		a.fail(a.refused(n))
		return
	}
	a.readCertRequests(msg)
	if err := a.confirmPPK(sa, msg); err != nil {
		sa.reject(err)
		return
	}
	if a.gateway.open && a.state != stateAuthFinal {
		a.gatewayRound(sa, msg)
		return
	}
	a.ownRound(sa, msg)
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
func (a *authentication) ownRound(sa *ikeSA, msg *message.Message) {
	switch {
	case a.own.done == len(a.cfg.LocalRounds):
		a.nextRound(sa, msg) // only the gateway had rounds left
	case a.state == stateAuthFinal:
		if a.eapProof(sa, msg) {
			a.roundDone(sa, msg)
		}
	case a.eapRunning():
		a.eapRequest(sa, msg)
	default:
		a.roundDone(sa, msg) // the gateway took AUTH
	}
}

func (a *authentication) roundDone(sa *ikeSA, msg *message.Message) {
	a.own.done++
	a.nextRound(sa, msg)
}

// nextRound begins our next round, waits for one of the gateway, or ends the
// authentication.
func (a *authentication) nextRound(sa *ikeSA, msg *message.Message) {
	a.state = stateAuth
	switch {
	case a.own.done < len(a.cfg.LocalRounds):
		if err := a.startRound(sa); err != nil {
			sa.reject(err)
		}
	case a.gateway.open:
		if a.own.idle++; a.own.idle > maxIdleAuth {
			sa.reject(fmt.Errorf("%w: it announces authentications without end", ErrProtocol))
			return
		}
		sa.request(request{exchange: message.IKEAuth})
	default:
		a.finishAuth(sa, msg)
	}
}

// finishAuth ends IKE_AUTH, where the gateway has shown all that it has to.
func (a *authentication) finishAuth(sa *ikeSA, msg *message.Message) {
	if n := len(a.cfg.RemoteRounds); a.gateway.proved < n {
		sa.reject(&RoundsError{Done: a.gateway.proved, Want: n})
		return
	}
	a.state, a.established = stateEstablished, msg
	log.Infof(a.ike, "IKE_SA %s established between %s", sa.name(), a.ends())
	a.emit(Established{
		SPIi: uint64(sa.spii), SPIr: uint64(sa.spir), Suite: suiteName{"IKE", sa.suite}.String(), Local: a.path.local, Remote: a.path.remote,
		RemoteID: a.remoteID, NATLocal: a.path.natLocal, NATRemote: a.path.natRemote,
	})
}
