// Package peap is the peer's side of PEAPv0 (draft-kamath-pppext-peapv0,
// [MS-PEAP]) as strongSwan and wpa_supplicant speak it. An EAP conversation
// without headers goes on inside TLS, and ends with a result that both sides
// send each other.
package peap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/peapmsg"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlspeer"
	"github.com/gotnc/gotnc/internal/base/log"
)

var (
	errInnerEnd = errors.New("server ended the inner authentication inside the tunnel without a result")
	errAfterEnd = errors.New("server went on after the result")
	errUnbound  = errors.New("server did not bind the inner method to the tunnel: Crypto-Binding is required")
	errEarly    = errors.New("server reported success before the inner method completed")
)

// Config is what a Method needs.
type Config struct {
	// TLS says who the server has to be.
	TLS eap.TLSConfig
	// Inner is the authentication inside the tunnel; its Sequence is implied, and
	// a Logger that is nil is that of the Config.
	Inner eap.Config
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is 9980,
	// which fits IKE fragmentation.
	FragmentSize int
	// IncludeLength sends the Message Length also in packets that are not
	// fragmented.
	IncludeLength bool
	// MaxMessages limits the PEAP packets that the server may send,
	// acknowledgements included; 0 is no limit.
	MaxMessages int
	// RequireBinding refuses a server that reports success without a Crypto-Binding
	// TLV: without one somebody between may have carried the inner method of another
	// conversation into the tunnel.
	RequireBinding bool
	// Logger gets strongSwan's lines; nil discards.
	Logger *slog.Logger
}

// Method is the peer's side: an eap.Method, eap.Keyer, eap.Explainer and
// eap.Sizer. It belongs to one goroutine. Close it.
type Method struct {
	*tunnel
	in *inside
}

type tunnel = tlspeer.Tunnel

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	in := &inside{log: log.Group(cfg.Logger, log.IKE), mustBind: cfg.RequireBinding}
	t, err := tlspeer.NewTunnel(tlskind.PEAP, tlspeer.TunnelConfig{Config: tlspeer.Config{
		TLS: cfg.TLS, FragmentSize: cfg.FragmentSize, Length: cfg.IncludeLength,
		MaxMessages: cfg.MaxMessages, Logger: cfg.Logger,
	}, Inner: cfg.Inner}, func(p *eap.Peer) tlspeer.Inside {
		in.peer = p
		return in
	})
	if err != nil {
		return nil, err
	}
	in.tunnel = t.MSK
	return &Method{tunnel: t, in: in}, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypePEAP, func() (*Method, error) { return New(cfg) })
}

// MSK returns the Master Session Key, nil before the handshake is complete. Where both
// sides bound the inner method's key to the tunnel it is made of both.
func (m *Method) MSK() []byte {
	if m.in.msk != nil {
		return m.in.msk
	}
	return m.tunnel.MSK()
}

// Close ends TLS and the method inside, and zeroes keys. It may be called again.
func (m *Method) Close() {
	clear(m.in.msk)
	m.tunnel.Close()
}

// inside is what goes on in the tunnel.
type inside struct {
	log    *slog.Logger
	peer   *eap.Peer
	tunnel func() []byte // the key of the tunnel
	msk    []byte        // nil where nothing was bound

	mustBind bool // Config.RequireBinding
	ended    bool // the result was exchanged
	status   uint16
}

func (in *inside) Enter(tls.ConnectionState) {}

// First returns nothing: the server speaks first.
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
	packet, err := peapmsg.Expand(eap.CodeRequest, id, app)
	if err != nil {
		return nil, err
	}
	req, err := eap.Parse(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	in.logPacket("received", req)
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
		in.logPacket("sending", res)
	}
	return peapmsg.Compress(response), nil
}

// end answers the server's result with the client's.
func (in *inside) end(req eap.Packet) ([]byte, error) {
	result, err := peapmsg.ParseResult(req.Data)
	if err != nil {
		return nil, err
	}
	in.ended = true
	answer := peapmsg.Result{Status: result.Status}
	if result.Status == peapmsg.ResultSuccess {
		if in.peer.Method() != eap.TypeNone && in.peer.Decision() != eap.DecisionMaySucceed {
			return nil, errEarly
		}
		switch {
		case result.Binding == nil && in.mustBind:
			return nil, errUnbound
		case result.Binding != nil:
			if answer.Binding, err = in.bind(result.Binding); err != nil {
				return nil, err
			}
		}
	}
	in.status = answer.Status
	res := eap.Packet{Code: eap.CodeResponse, ID: req.ID, Type: eap.TypeMSTLV, Data: answer.AppendBinary(nil)}
	in.logPacket("sending", res)
	return res.AppendBinary(nil)
}

// bind verifies that the server has the keys of tunnel and inner method, and
// returns the proof that the client has them.
func (in *inside) bind(request []byte) ([]byte, error) {
	k := peapmsg.NewCompound(in.tunnel(), in.peer.MSK())
	defer k.Zero()
	nonce, err := k.Open(peapmsg.BindingRequest, request)
	if err != nil {
		return nil, err
	}
	in.msk = k.MSK()
	return k.Seal(peapmsg.BindingResponse, nonce), nil
}

// Accepts reports whether both sides said success inside the tunnel.
func (in *inside) Accepts() bool { return in.ended && in.status == peapmsg.ResultSuccess }

func (in *inside) logPacket(verb string, p eap.Packet) {
	log.Infof(in.log, "%s tunneled EAP-PEAP AVP [%s]", verb, p)
}
