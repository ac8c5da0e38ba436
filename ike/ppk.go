package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// PPK is a post-quantum preshared key (RFC 8784), mixed into the keys of the
// IKE_SA with the first authentication of ours.
type PPK struct {
	ID       []byte // PPK_ID, of type fixed
	Key      []byte // the caller keeps it until the Machine is finished
	Required bool   // else the gateway may do without
}

// ppkIDFixed is the type of a PPK_ID that stands for one PPK (RFC 8784 §5.1).
const ppkIDFixed = 2

// agreePPK takes the gateway's word in IKE_SA_INIT on USE_PPK.
func (m *Machine) agreePPK(msg *message.Message) error {
	if m.cfg.PPK == nil {
		return nil
	}
	m.ppk = msg.Notify(message.UsePPK) != nil
	if !m.ppk && m.cfg.PPK.Required {
		m.conf.Info("PPK required but peer does not support PPK")
		return fmt.Errorf("%w: it does not support PPKs (RFC 8784), which ppk_required asks for", ErrGatewayAuth)
	}
	return nil
}

// prove makes AUTH of ours with make, which is given the octets to cover and
// SK_pi; with a PPK it comes with the notifies that name it.
func (m *Machine) prove(make func(octets, skp []byte) (*message.Auth, error)) ([]message.Payload, error) {
	plain, err := make(m.ourOctets(m.keys.Pi), m.keys.Pi)
	if err != nil || !m.ppk {
		return []message.Payload{plain}, err
	}
	mixed, err := m.keys.PPK(m.prf, m.cfg.PPK.Key)
	if err != nil {
		return nil, err
	}
	defer mixed.Zero()
	auth, err := make(m.ourOctets(mixed.Pi), mixed.Pi)
	if err != nil {
		return nil, err
	}
	m.ppkAsked = true
	ps := []message.Payload{auth,
		&message.Notify{NotifyType: message.PPKIdentity, Data: append([]byte{ppkIDFixed}, m.cfg.PPK.ID...)}}
	if !m.cfg.PPK.Required {
		ps = append(ps, &message.Notify{NotifyType: message.NoPPKAuth, Data: plain.Data})
	}
	return ps, nil
}

// confirmPPK takes the gateway's answer to the request that named the PPK: from
// then on it counts, or is of no use.
func (m *Machine) confirmPPK(msg *message.Message) error {
	if !m.ppkAsked {
		return nil
	}
	m.ppk, m.ppkAsked = false, false
	if msg.Notify(message.PPKIdentity) == nil {
		if m.cfg.PPK.Required {
			return fmt.Errorf("%w: it does not use the PPK '%s', which ppk_required asks for", ErrGatewayAuth, m.cfg.PPK.ID)
		}
		log.Infof(m.conf, "the gateway does not use the PPK '%s'", m.cfg.PPK.ID)
		return nil
	}
	mixed, err := m.keys.PPK(m.prf, m.cfg.PPK.Key)
	if err != nil {
		return err
	}
	m.keys.D, mixed.D = mixed.D, m.keys.D
	m.keys.Pi, mixed.Pi = mixed.Pi, m.keys.Pi
	m.keys.Pr, mixed.Pr = mixed.Pr, m.keys.Pr
	mixed.Zero()
	log.Infof(m.conf, "using PPK for PPK_ID '%s'", m.cfg.PPK.ID)
	return nil
}

// ourOctets are what an AUTH payload of ours covers, with this SK_pi.
func (m *Machine) ourOctets(pi []byte) []byte {
	return crypto.SignedOctets(m.prf, pi, m.initRequest, m.nr, m.idiBody, m.intAuth.octets)
}

// gatewayOctets are what an AUTH payload of the gateway covers.
func (m *Machine) gatewayOctets() []byte {
	return crypto.SignedOctets(m.prf, m.keys.Pr, m.initResponse, m.ni, m.idrBody, m.intAuth.octets)
}
