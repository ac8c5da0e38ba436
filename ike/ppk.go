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
	plain, err := sign(a.ourOctets(sa, sa.keys.Pi), sa.keys.Pi)
	if err != nil || !a.ppk.agreed {
		return []message.Payload{plain}, err
	}
	mixed, err := sa.keys.PPK(sa.prf, a.cfg.Authentication.PPK.Key)
	if err != nil {
		return nil, err
	}
	defer mixed.Zero()
	auth, err := sign(a.ourOctets(sa, mixed.Pi), mixed.Pi)
	if err != nil {
		return nil, err
	}
	a.ppk.asked = true
	ps := []message.Payload{auth,
		&message.Notify{NotifyType: message.PPKIdentity, Data: append([]byte{ppkIDFixed}, a.cfg.Authentication.PPK.ID...)}}
	if !a.cfg.Authentication.PPK.Required {
		ps = append(ps, &message.Notify{NotifyType: message.NoPPKAuth, Data: plain.Data})
	}
	return ps, nil
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
