package peap

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlsserver"
)

// Inner is the authentication that a Server runs inside its tunnel.
type Inner interface {
	// Handle takes one inner EAP response and returns the next inner request,
	// which has the identifier id: that of the packet around it. The first
	// response is the client's Identity. A nil request ends the authentication
	// with success, an error with failure.
	Handle(id uint8, response []byte) (request []byte, err error)
	// MSK returns the key of the method, nil where it has none.
	MSK() []byte
}

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// TLS holds certificates and versions; it is cloned.
	TLS   *tls.Config
	Inner Inner
	// Bind sends a Crypto-Binding TLV; a client that does not answer it fails.
	Bind bool
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is
	// tlspeer.FragmentSize.
	FragmentSize int
	// FirstID is the identifier of the start packet.
	FirstID uint8
}

// Server is the server's half. It belongs to one goroutine. Close it.
type Server struct {
	*tlsserver.Server
	in *serverInside
}

// NewServer returns a Server; its Start makes the first request.
func NewServer(cfg ServerConfig) *Server {
	in := &serverInside{cfg: cfg}
	s := tlsserver.New(tlsserver.Config{Kind: kind, TLS: cfg.TLS, FragmentSize: cfg.FragmentSize, FirstID: cfg.FirstID, Inside: in})
	in.tunnel = s.MSK
	return &Server{s, in}
}

// MSK returns the Master Session Key, nil before the tunnel stands.
func (s *Server) MSK() []byte {
	if s.in.msk != nil {
		return s.in.msk
	}
	return s.Server.MSK()
}

type serverInside struct {
	cfg    ServerConfig
	tunnel func() []byte
	asked  bool
	ended  bool
	status uint16
	last   uint8 // identifier of the last inner request
	keys   compound
	msk    []byte
	cause  error
}

var (
	errClient  = errors.New("client did not confirm the result")
	errNothing = errors.New("client sent nothing where an inner response was due")
)

func (in *serverInside) Greet(tls.ConnectionState) ([]byte, error) { return nil, nil }

func (in *serverInside) Receive(id uint8, app []byte) ([]byte, bool, error) {
	switch {
	case !in.asked && len(app) == 0:
		in.asked, in.last = true, id
		return []byte{byte(eap.TypeIdentity)}, false, nil
	case len(app) == 0:
		return nil, false, errNothing
	case in.ended:
		return nil, true, in.confirmed(app)
	}
	packet, err := expand(eap.CodeResponse, in.last, app)
	if err != nil {
		return nil, false, err
	}
	request, err := in.cfg.Inner.Handle(id, packet)
	if err != nil || request == nil {
		in.cause = err
		say, err := in.end(id)
		return say, false, err
	}
	in.last = id
	return compress(request), false, nil
}

// end tells the client the result.
func (in *serverInside) end(id uint8) ([]byte, error) {
	in.ended = true
	r := result{status: resultSuccess}
	if in.cause != nil {
		r.status = resultFailure
	} else if in.cfg.Bind {
		in.keys = newCompound(in.tunnel(), in.cfg.Inner.MSK())
		var nonce [32]byte
		if _, err := rand.Read(nonce[:]); err != nil {
			return nil, err
		}
		r.binding = in.keys.seal(bindingRequest, nonce[:])
	}
	in.status = r.status
	return eap.Packet{Code: eap.CodeRequest, ID: id, Type: eap.TypeMSTLV, Data: r.appendBinary(nil)}.AppendBinary(nil)
}

// confirmed checks what the client makes of the result.
func (in *serverInside) confirmed(app []byte) error {
	if in.cause != nil {
		return fmt.Errorf("inner authentication: %w", in.cause)
	}
	p, err := eap.Parse(app)
	if err != nil || p.Code != eap.CodeResponse || p.Type != eap.TypeMSTLV {
		return errClient
	}
	r, err := parseResult(p.Data)
	if err != nil || r.status != in.status {
		return errClient
	}
	if in.cfg.Bind {
		if _, err := in.keys.open(bindingResponse, r.binding); err != nil {
			return errClient
		}
		in.msk = in.keys.msk()
	}
	return nil
}
