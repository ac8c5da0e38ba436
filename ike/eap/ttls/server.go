package ttls

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/tlsstep"
)

// Inner is the authentication that a Server runs inside its tunnel.
type Inner interface {
	// Handle takes one inner EAP response and returns the next inner request.
	// The first response is the client's Identity. A nil request ends the
	// authentication with success, an error with failure.
	Handle(response []byte) (request []byte, err error)
}

// InnerFunc is a function as Inner.
type InnerFunc func(response []byte) ([]byte, error)

// Handle calls f.
func (f InnerFunc) Handle(response []byte) ([]byte, error) { return f(response) }

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// TLS holds certificates and versions; it is cloned.
	TLS   *tls.Config
	Inner Inner
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is the
	// constant.
	FragmentSize int
	// FirstID is the identifier of the start packet.
	FirstID uint8
	// Greeting, where set, is an inner EAP request that leaves together with
	// the end of the handshake (strongSwan's phase2_piggyback): TLS 1.2 only.
	Greeting []byte
	// ProtectedSuccess sends the octet of RFC 9427 §3.2 at the end where the
	// connection is TLS 1.3.
	ProtectedSuccess bool
}

var (
	errUnexpected  = errors.New("unexpected EAP response")
	errInnerNoData = errors.New("client sent nothing where an inner response was due")
)

// Server is the server's half for gateways and tests. It belongs to one
// goroutine. Close it.
type Server struct {
	cfg      ServerConfig
	frame    *tlsframe.Conn
	tls      *tlsstep.Conn
	avps     avpStream
	keys     tlsstep.Keys
	id       uint8 // of the request under way
	lastID   uint8
	tunnel   bool
	finished bool // inner authentication done, protected indication under way
	failed   error
	status   eap.Status
}

// NewServer returns a Server; Start makes its first request.
func NewServer(cfg ServerConfig) *Server {
	if cfg.FragmentSize == 0 {
		cfg.FragmentSize = FragmentSize
	}
	tc := cfg.TLS.Clone()
	if tc.MinVersion < tls.VersionTLS12 {
		tc.MinVersion = tls.VersionTLS12
	}
	return &Server{
		cfg: cfg,
		frame: tlsframe.New(tlsframe.Config{
			CheckVersion: true, LengthAlways: true, FragmentSize: cfg.FragmentSize,
		}),
		tls: tlsstep.Server(tc),
		id:  cfg.FirstID,
	}
}

// Start returns the start packet.
func (s *Server) Start() []byte { return s.packet(s.frame.StartPacket()) }

// Handle takes one response of the client and returns the next packet to send.
// With StatusSuccess the packet is the Success, with StatusFailure the Failure
// and the error says why.
func (s *Server) Handle(response []byte) (packet []byte, status eap.Status, err error) {
	if s.status != eap.StatusContinue {
		return nil, s.status, errUnexpected
	}
	packet, done, err := s.handle(response)
	switch {
	case err != nil:
		s.status = eap.StatusFailure
		packet = s.result(eap.CodeFailure)
	case done:
		s.status = eap.StatusSuccess
		packet = s.result(eap.CodeSuccess)
	}
	return packet, s.status, err
}

func (s *Server) handle(response []byte) (request []byte, done bool, err error) {
	res, err := eap.Parse(response)
	if err != nil {
		return nil, false, err
	}
	if res.Code != eap.CodeResponse || res.Type != eap.TypeTTLS || res.ID != s.id {
		return nil, false, fmt.Errorf("handle %s (id 0x%02X): %w", res, res.ID, errUnexpected)
	}
	ev, err := s.frame.Receive(res.Data)
	s.lastID = s.id
	s.id++
	if s.failed != nil {
		return nil, false, s.failed
	}
	switch {
	case err != nil:
		return nil, false, err
	case ev == tlsframe.More:
		return s.packet(s.frame.Ack()), false, nil
	case ev == tlsframe.Ack && s.frame.Pending():
		return s.packet(s.frame.Next()), false, nil
	case ev == tlsframe.Ack && s.finished:
		return nil, true, nil
	case ev == tlsframe.Ack:
		return nil, false, errInnerNoData
	case ev == tlsframe.Start:
		return nil, false, errUnexpected
	}
	out, stepErr := s.tls.Step(s.frame.Message())
	if stepErr != nil {
		stepErr = fmt.Errorf("TLS: %w", stepErr)
		if len(out) == 0 {
			return nil, false, stepErr
		}
		s.failed = stepErr // the alert first, then the Failure
		return s.send(out)
	}
	if s.tls.Complete() && !s.tunnel {
		if s.keys, err = s.tls.Keys(uint8(eap.TypeTTLS), tlsstep.LabelTTLS); err != nil {
			return nil, false, err
		}
		s.tunnel = true
		st, err := s.tls.State()
		if err != nil {
			return nil, false, err
		}
		if s.cfg.Greeting != nil && st.Version < tls.VersionTLS13 {
			rec, err := s.seal(s.cfg.Greeting)
			if err != nil {
				return nil, false, err
			}
			return s.send(append(out, rec...))
		}
	}
	inner, err := s.avps.push(s.tls.App())
	if err != nil {
		return nil, false, err
	}
	if inner == nil {
		return s.send(out)
	}
	next, err := s.cfg.Inner.Handle(inner)
	if err != nil {
		return nil, false, fmt.Errorf("inner authentication: %w", err)
	}
	if next != nil {
		rec, err := s.seal(next)
		if err != nil {
			return nil, false, err
		}
		return s.send(append(out, rec...))
	}
	st, err := s.tls.State()
	if err != nil {
		return nil, false, err
	}
	if !s.cfg.ProtectedSuccess || st.Version < tls.VersionTLS13 {
		return nil, true, nil
	}
	s.finished = true
	rec, err := s.tls.Write([]byte{0})
	if err != nil {
		return nil, false, err
	}
	return s.send(append(out, rec...))
}

func (s *Server) seal(packet []byte) ([]byte, error) {
	avp, err := AppendEAP(nil, packet)
	if err != nil {
		return nil, err
	}
	return s.tls.Write(avp)
}

func (s *Server) send(out []byte) ([]byte, bool, error) {
	if err := s.frame.Send(out); err != nil {
		return nil, false, err
	}
	return s.packet(s.frame.Next()), false, nil
}

func (s *Server) packet(data []byte) []byte {
	b, _ := eap.Packet{Code: eap.CodeRequest, ID: s.id, Type: eap.TypeTTLS, Data: data}.AppendBinary(nil)
	return b
}

// result makes Success or Failure, whose identifier is the last response's.
func (s *Server) result(c eap.Code) []byte {
	b, _ := eap.Packet{Code: c, ID: s.lastID}.AppendBinary(nil)
	return b
}

// Tunnel reports whether the TLS tunnel stands.
func (s *Server) Tunnel() bool { return s.tunnel }

// MSK returns the Master Session Key, nil before the tunnel stands; it is
// zeroed on Close.
func (s *Server) MSK() []byte { return s.keys.MSK }

// Close ends TLS and zeroes keys.
func (s *Server) Close() {
	s.tls.Close()
	s.keys.Zero()
}
