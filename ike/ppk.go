package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// PPK is a post-quantum preshared key (RFC 8784), mixed into the keys of the
// IKE_SA with our first authentication.
type PPK struct {
	ID       []byte // PPK_ID, of type fixed
	Key      []byte // the caller keeps it until the Machine is finished
	Required bool   // else the gateway may do without
}

// ppkIDFixed is the type of a PPK_ID that names one PPK (RFC 8784 section 5.1).
const ppkIDFixed = 2

// ppkUse is what was agreed on about the PPK.
type ppkUse struct {
	agreed bool // the gateway takes a PPK, and no request has named it yet
	asked  bool // the request that is out names it
}

// agreePPK reads whether the IKE_SA_INIT response has USE_PPK.
func (a *authentication) agreePPK(msg *message.Message) error {
	if a.cfg.Authentication.PPK == nil {
		return nil
	}
	a.ppk.agreed = msg.Notify(message.UsePPK) != nil
	if !a.ppk.agreed && a.cfg.Authentication.PPK.Required {
		a.conf.Info("PPK required but peer does not support PPK")
		return fmt.Errorf("%w: %w (RFC 8784 is not supported)", ErrGatewayAuth, ErrPPK)
	}
	return nil
}

// prove makes our AUTH with sign, which is given the octets to cover and SK_pi;
// with a PPK it comes with the notifies that name it.
func (a *authentication) prove(sa *ikeSA, sign func(octets, skp []byte) (*message.Auth, error)) ([]message.Payload, error) {
	var auths []*message.Auth
	err := a.cover(sa, func(octets, skp []byte) error {
		auth, err := sign(octets, skp)
		auths = append(auths, auth)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.ppk.payloads(auths, a.cfg.Authentication.PPK), nil
}

// cover calls each with the octets that an AUTH of ours has to cover, and their SK_pi:
// once, with a PPK that the gateway may do without twice, that without it last.
func (a *authentication) cover(sa *ikeSA, each func(octets, skp []byte) error) error {
	if a.ppk.agreed {
		mixed, err := sa.keys.PPK(sa.prf, a.cfg.Authentication.PPK.Key)
		if err != nil {
			return err
		}
		defer mixed.Zero()
		if err := each(a.ourOctets(sa, mixed.Pi), mixed.Pi); err != nil || a.cfg.Authentication.PPK.Required {
			return err
		}
	}
	return each(a.ourOctets(sa, sa.keys.Pi), sa.keys.Pi)
}

// payloads returns the payloads of what cover asked for.
func (u *ppkUse) payloads(auths []*message.Auth, ppk *PPK) []message.Payload {
	ps := []message.Payload{auths[0]}
	if !u.agreed {
		return ps
	}
	u.asked = true
	ps = append(ps, &message.Notify{NotifyType: message.PPKIdentity, Data: append([]byte{ppkIDFixed}, ppk.ID...)})
	if len(auths) > 1 {
		ps = append(ps, &message.Notify{NotifyType: message.NoPPKAuth, Data: auths[1].Data})
	}
	return ps
}

// confirmPPK reads the answer to the request that named the PPK, and mixes the
// PPK into the keys where the gateway uses it.
func (a *authentication) confirmPPK(sa *ikeSA, msg *message.Message) error {
	if !a.ppk.asked {
		return nil
	}
	a.ppk.agreed, a.ppk.asked = false, false
	if msg.Notify(message.PPKIdentity) == nil {
		if a.cfg.Authentication.PPK.Required {
			return fmt.Errorf("%w: %w (PPK_ID '%s')", ErrGatewayAuth, ErrPPK, a.cfg.Authentication.PPK.ID)
		}
		log.Infof(a.conf, "the gateway does not use the PPK '%s'", a.cfg.Authentication.PPK.ID)
		return nil
	}
	mixed, err := sa.keys.PPK(sa.prf, a.cfg.Authentication.PPK.Key)
	if err != nil {
		return err
	}
	sa.keys.D, mixed.D = mixed.D, sa.keys.D
	sa.keys.Pi, mixed.Pi = mixed.Pi, sa.keys.Pi
	sa.keys.Pr, mixed.Pr = mixed.Pr, sa.keys.Pr
	mixed.Zero()
	log.Infof(a.conf, "using PPK for PPK_ID '%s'", a.cfg.Authentication.PPK.ID)
	return nil
}

// ourOctets returns what our AUTH payload covers, with this SK_pi.
func (a *authentication) ourOctets(sa *ikeSA, pi []byte) []byte {
	return crypto.SignedOctets(sa.prf, pi, a.init.request, a.init.nr, a.own.idi, a.init.inter.octets)
}

// gatewayOctets returns what the gateway's AUTH payload covers.
func (a *authentication) gatewayOctets(sa *ikeSA) []byte {
	return crypto.SignedOctets(sa.prf, sa.keys.Pr, a.init.response, a.init.ni, a.gateway.idr, a.init.inter.octets)
}
