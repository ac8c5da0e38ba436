package ike

import (
	gocrypto "crypto"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// gatewayRounds is how far the gateway's authentication has come.
type gatewayRounds struct {
	proved     int // rounds that are complete
	identified int // rounds that the gateway has said its identity in
	idr        []byte
	open       bool // the gateway has another round
	signed     bool // a round was proved by signature or preshared key
}

// gatewayRound handles the gateway's part of an IKE_AUTH response: who it says
// it is, and its proof. Then it goes on with ours.
func (a *authentication) gatewayRound(sa *ikeSA, msg *message.Message) {
	r, err := a.identify(msg)
	if err != nil {
		sa.reject(err)
		return
	}
	auth, ok := message.First[*message.Auth](msg.Payloads)
	switch {
	case !ok && r.Method != RemoteEAP:
		err = ErrNoSignature
	case r.Method == RemoteEAP && !a.eapRunning():
		err = errors.New("it should authenticate with EAP, but no EAP round is left")
	case !ok:
		a.ike.Info("allow mutual EAP-only authentication")
		a.gatewayDone(sa, msg)
		return
	case r.Method == RemoteEAP:
		// The key of a mutual EAP method proves the gateway all the same
		// (RFC 5998 section 4), and eapProof insists on it.
		log.Infof(a.ike, "ignoring %s of '%s', EAP authenticates it", auth.Method, a.remoteID)
		a.gatewayDone(sa, msg)
		return
	case r.Method == RemotePSK:
		err = a.gatewayPSK(sa, r, auth)
	case auth.Method == message.AuthSharedKey:
		err = errors.New("it used a preshared key, but has to sign")
	case auth.Method == message.AuthDigitalSignature && a.cfg.Authentication.ClassicSignatures:
		err = errDigitalSignature
	default:
		a.verify(sa, r, auth, msg)
		return
	}
	if err != nil {
		sa.reject(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
		return
	}
	a.gatewayProved(sa, msg)
}

// identify reads who the gateway says it is, and returns the round that asks
// for that identity.
func (a *authentication) identify(msg *message.Message) (*RemoteRound, error) {
	g := &a.gateway
	idr, ok := message.First[*message.IDr](msg.Payloads)
	if !ok {
		return nil, fmt.Errorf("%w: IKE_AUTH response without IDr", ErrProtocol)
	}
	if g.proved >= len(a.cfg.RemoteRounds) {
		return nil, fmt.Errorf("%w: it wants to authenticate in round %d as '%s', but there are %d remote sections", ErrGatewayAuth, g.proved+1, idr.Identity, len(a.cfg.RemoteRounds))
	}
	r := &a.cfg.RemoteRounds[g.proved]
	if g.identified > g.proved && !a.remoteID.Equal(idr.Identity) {
		// What EAP has verified, or is about to, is the earlier identity.
		return nil, fmt.Errorf("%w: it said that it is '%s', and now '%s', without having proved either", ErrGatewayAuth, a.remoteID, idr.Identity)
	}
	g.identified = g.proved + 1
	a.remoteID, g.idr = idr.Identity, idr.Body()
	if !r.Loose && identity.Matches(r.ID, idr.Identity) == identity.None {
		return nil, &IdentityError{Shown: idr.Identity, Want: r.ID}
	}
	return r, nil
}

var errDigitalSignature = errors.New("it signed as RFC 7427 says, which was not announced")

// verify asks for the keys that the gateway may sign with, then checks AUTH.
func (a *authentication) verify(sa *ikeSA, r *RemoteRound, auth *message.Auth, msg *message.Message) {
	p := certPayloads(msg)
	p.ID, p.Now = a.remoteID, a.now
	v := &VerifyRequest{Verifier: r.Verifier, Peer: p, lookup: newCertLookup(a.core, msg)}
	v.w = a.await(stateVerify, 0, func(answer Result) {
		err := answer.err
		if err == nil {
			err = a.gatewaySignature(sa, r, auth, answer.keys)
		}
		if err != nil {
			sa.reject(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
			return
		}
		a.gatewayProved(sa, msg)
	})
	a.out.Work = append(a.out.Work, v)
}

// gatewaySignature checks AUTH with the keys that the verifier found.
func (a *authentication) gatewaySignature(sa *ikeSA, r *RemoteRound, auth *message.Auth, keys []gocrypto.PublicKey) error {
	err := errors.New("no public key of it is known")
	for _, k := range keys {
		var s signature.Scheme
		if s, err = signature.Verify(k, auth, a.gatewayOctets(sa)); err == nil {
			err = r.Constraints.CheckIKE(s)
		}
		if err == nil && s.Hash == signature.SHA1 && !a.cfg.Authentication.SHA1 {
			err = fmt.Errorf("it signed with %s: %w", s, signature.ErrSHA1)
		}
		if err == nil {
			log.Infof(a.ike, "authentication of '%s' with %s successful", a.remoteID, s)
			return nil
		}
	}
	return err
}

func (a *authentication) gatewayPSK(sa *ikeSA, r *RemoteRound, auth *message.Auth) error {
	if auth.Method != message.AuthSharedKey {
		return fmt.Errorf("it used a %s, but has to use a preshared key", auth.Method)
	}
	key, err := r.PSK(a.remoteID)
	if err != nil {
		return err
	}
	if !crypto.VerifyShared(sa.prf, key, a.gatewayOctets(sa), auth.Data) {
		a.ike.Info("tried to authenticate with pre-shared key, but MAC mismatched")
		return fmt.Errorf("its preshared key is another one than ours for '%s'", a.remoteID)
	}
	log.Infof(a.ike, "authentication of '%s' with pre-shared key successful", a.remoteID)
	return nil
}

// gatewayProved counts a round of the gateway.
func (a *authentication) gatewayProved(sa *ikeSA, msg *message.Message) {
	a.gateway.proved++
	a.gateway.signed = true
	a.gatewayDone(sa, msg)
}

// gatewayDone goes on after the gateway's part.
func (a *authentication) gatewayDone(sa *ikeSA, msg *message.Message) {
	a.gateway.open = msg.Notify(message.AnotherAuthFollows) != nil
	if a.cfg.Authentication.GatewayIdentified != nil {
		if err := a.cfg.Authentication.GatewayIdentified(a.remoteID); err != nil {
			sa.reject(fmt.Errorf("%w: %w", ErrGatewayAuth, err))
			return
		}
	}
	a.ownRound(sa, msg)
}
