// Package peap is PEAPv0 (draft-kamath-pppext-peapv0, [MS-PEAP]) as strongSwan
// and wpa_supplicant speak it: the peer's side, and the server's for gateways
// and tests. An EAP conversation without headers goes on inside TLS, and ends
// with a result that both sides tell each other.
package peap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlspeer"
	"github.com/gotnc/gotnc/ike/eap/tlsstep"
	"github.com/gotnc/gotnc/internal/base/log"
)

const version = 0

var (
	errInnerEnd = errors.New("server ended the inner authentication inside the tunnel without a result")
	errAfterEnd = errors.New("server went on after the result")
	errEarly    = errors.New("server reported success before the inner method completed")
)

var kind = tlspeer.Kind{Type: eap.TypePEAP, Label: tlsstep.LabelTLS, Version: version}

// Config is what a Method needs.
type Config = tlspeer.TunnelConfig

// Method is the peer's side. It belongs to one goroutine. Close it.
type Method struct {
	*tlspeer.Tunnel
	in *inside
}

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	in := &inside{log: log.Group(cfg.Log, log.IKE)}
	t, err := tlspeer.NewTunnel(kind, cfg, func(p *eap.Peer) tlspeer.Inside {
		in.peer = p
		return in
	})
	if err != nil {
		return nil, err
	}
	in.tunnel = t.MSK
	return &Method{Tunnel: t, in: in}, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypePEAP, func() (*Method, error) { return New(cfg) })
}

// MSK returns the Master Session Key, nil before the tunnel stands. Where both
// sides bound the inner method's key to the tunnel it is made of both.
func (m *Method) MSK() []byte {
	if m.in.msk != nil {
		return m.in.msk
	}
	return m.Tunnel.MSK()
}

// Close ends TLS and the method inside, and zeroes keys. It may be called again.
func (m *Method) Close() {
	clear(m.in.msk)
	m.Tunnel.Close()
}

// inside is what goes on in the tunnel.
type inside struct {
	log    *slog.Logger
	peer   *eap.Peer
	tunnel func() []byte // the key of the tunnel
	msk    []byte        // nil where nothing was bound
	ended  bool          // the result was exchanged
	status uint16
}

func (in *inside) Enter(tls.ConnectionState) {}

// First: the server speaks first.
func (in *inside) First() ([]byte, error) { return nil, nil }

// Receive handles one inner packet; strongSwan and hostapd put each into
// records of its own.
func (in *inside) Receive(id uint8, app []byte) ([]byte, error) {
	// A single octet 0 is the protected success indication of TLS 1.3.
	if in.ended && len(app) == 1 && app[0] == 0 {
		return nil, nil
	}
	if in.ended {
		return nil, errAfterEnd
	}
	packet, err := expand(eap.CodeRequest, id, app)
	if err != nil {
		return nil, err
	}
	req, err := eap.Parse(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	in.say("received", req)
	if req.Type == eap.TypeMSTLV && req.Code == eap.CodeRequest {
		return in.end(req)
	}
	response, status, err := in.peer.Handle(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	if status != eap.StatusContinue {
		return nil, errInnerEnd
	}
	if res, err := eap.Parse(response); err == nil {
		in.say("sending", res)
	}
	return compress(response), nil
}

// end answers the server's result with ours.
func (in *inside) end(req eap.Packet) ([]byte, error) {
	theirs, err := parseResult(req.Data)
	if err != nil {
		return nil, err
	}
	in.ended = true
	ours := result{status: theirs.status}
	if theirs.status == resultSuccess {
		if in.peer.Method() != eap.TypeNone && in.peer.Decision() != eap.DecisionMaySucceed {
			return nil, errEarly
		}
		if theirs.binding != nil {
			if ours.binding, err = in.bind(theirs.binding); err != nil {
				return nil, err
			}
		}
	}
	in.status = ours.status
	res := eap.Packet{Code: eap.CodeResponse, ID: req.ID, Type: eap.TypeMSTLV, Data: ours.appendBinary(nil)}
	in.say("sending", res)
	return res.AppendBinary(nil)
}

// bind verifies that the server has the keys of tunnel and inner method, and
// proves that we have.
func (in *inside) bind(theirs []byte) ([]byte, error) {
	k := newCompound(in.tunnel(), in.peer.MSK())
	defer k.zero()
	nonce, err := k.open(bindingRequest, theirs)
	if err != nil {
		return nil, err
	}
	in.msk = k.msk()
	return k.seal(bindingResponse, nonce), nil
}

// Accepts: only after both sides said success inside the tunnel.
func (in *inside) Accepts() bool { return in.ended && in.status == resultSuccess }

func (in *inside) say(verb string, p eap.Packet) {
	log.Infof(in.log, "%s tunneled EAP-PEAP AVP [%s]", verb, p)
}
