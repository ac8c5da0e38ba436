package server

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/peapmsg"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
)

// PEAPInner is the authentication that the server of PEAP runs inside its
// tunnel.
type PEAPInner interface {
	// Handle takes one inner EAP response and returns the next inner request,
	// which has the identifier id: that of the packet around it. The first
	// response is the client's Identity. A nil request ends the authentication
	// with success, an error with failure.
	Handle(id uint8, response []byte) (request []byte, err error)
	// MSK returns the key of the method, nil where it has none.
	MSK() []byte
}

// PEAPConfig is what the server of PEAP needs.
type PEAPConfig struct {
	Config
	Inner PEAPInner
	// Bind sends a Crypto-Binding TLV; a client that does not answer it fails.
	Bind bool
}

// PEAP is the server's half of PEAPv0. It belongs to one goroutine. Close it.
type PEAP struct {
	*Server
	in *peapInside
}

// NewPEAP returns a PEAP; its Start makes the first request.
func NewPEAP(cfg PEAPConfig) *PEAP {
	in := &peapInside{cfg: cfg}
	s := newServer(tlskind.PEAP, cfg.Config, in)
	in.tunnel = s.MSK
	return &PEAP{s, in}
}

// MSK returns the Master Session Key, nil before the handshake is complete.
func (s *PEAP) MSK() []byte {
	if s.in.msk != nil {
		return s.in.msk
	}
	return s.Server.MSK()
}

type peapInside struct {
	cfg    PEAPConfig
	tunnel func() []byte
	asked  bool
	ended  bool
	status uint16
	last   uint8 // identifier of the last inner request
	keys   peapmsg.Compound
	msk    []byte
	cause  error
}

var (
	errClient  = errors.New("client did not confirm the result")
	errNothing = errors.New("client sent nothing where an inner response was due")
)

func (in *peapInside) Greet(tls.ConnectionState) ([]byte, error) { return nil, nil }

func (in *peapInside) Receive(id uint8, app []byte) ([]byte, bool, error) {
	switch {
	case !in.asked && len(app) == 0:
		in.asked, in.last = true, id
		return []byte{byte(eap.TypeIdentity)}, false, nil
	case len(app) == 0:
		return nil, false, errNothing
	case in.ended:
		return nil, true, in.confirmed(app)
	}
	packet, err := peapmsg.Expand(eap.CodeResponse, in.last, app)
	if err != nil {
		return nil, false, err
	}
	request, err := in.cfg.Inner.Handle(id, packet)
	if err != nil || request == nil {
		in.cause = err
		answer, err := in.end(id)
		return answer, false, err
	}
	in.last = id
	return peapmsg.Compress(request), false, nil
}

// end returns the packet that announces the result to the client.
func (in *peapInside) end(id uint8) ([]byte, error) {
	in.ended = true
	r := peapmsg.Result{Status: peapmsg.ResultSuccess}
	if in.cause != nil {
		r.Status = peapmsg.ResultFailure
	} else if in.cfg.Bind {
		in.keys = peapmsg.NewCompound(in.tunnel(), in.cfg.Inner.MSK())
		var nonce [32]byte
		if _, err := rand.Read(nonce[:]); err != nil {
			return nil, err
		}
		r.Binding = in.keys.Seal(peapmsg.BindingRequest, nonce[:])
	}
	in.status = r.Status
	return eap.Packet{Code: eap.CodeRequest, ID: id, Type: eap.TypeMSTLV, Data: r.AppendBinary(nil)}.AppendBinary(nil)
}

// confirmed checks what the client makes of the result.
func (in *peapInside) confirmed(app []byte) error {
	if in.cause != nil {
		return fmt.Errorf("inner authentication: %w", in.cause)
	}
	p, err := eap.Parse(app)
	if err != nil || p.Code != eap.CodeResponse || p.Type != eap.TypeMSTLV {
		return errClient
	}
	r, err := peapmsg.ParseResult(p.Data)
	if err != nil || r.Status != in.status {
		return errClient
	}
	if in.cfg.Bind {
		if _, err := in.keys.Open(peapmsg.BindingResponse, r.Binding); err != nil {
			return errClient
		}
		in.msk = in.keys.MSK()
	}
	return nil
}
