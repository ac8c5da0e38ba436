package eapserver

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Config describes a Server.
type Config struct {
	TLS     *tls.Config // certificate and versions; cloned
	Users   map[string]string
	Methods []eap.Type // inner methods in order: eap.TypeMD5, TypeTNC, TypePT
	// NewTNC makes the TNC server of the client with this inner identity.
	NewTNC       func(identity string) (TNCServer, error)
	FragmentSize int  // largest EAP-TTLS packet, in octets; 0 is the method's default
	AskIdentity  bool // begin with an Identity request
	// FailFirst replaces the first EAP-TTLS request by an EAP-Failure,
	// SucceedFirst EAP-Success.
	FailFirst, SucceedFirst bool
	Logger                  *slog.Logger
}

var errMethods = errors.New("the client does not speak EAP-TTLS")

// Server is the EAP server of one client. It belongs to one goroutine.
type Server struct {
	cfg      Config
	log      *slog.Logger
	ttls     *server.Server
	id       uint8
	asking   bool
	started  bool
	identity string
	inner    inner
	version  atomic.Uint32
	status   eap.Status
}

// New returns a server; Start makes its first request. The caller must Close it.
func New(cfg Config) (*Server, error) {
	var first [1]byte
	if _, err := rand.Read(first[:]); err != nil {
		return nil, fmt.Errorf("draw EAP identifier: %w", err)
	}
	s := &Server{cfg: cfg, log: log.Group(cfg.Logger, log.IKE), id: first[0] | 1}
	s.inner = inner{server: s}
	tc := cfg.TLS.Clone()
	tc.VerifyConnection = func(st tls.ConnectionState) error {
		s.version.Store(uint32(st.Version))
		return nil
	}
	s.ttls = server.NewTTLS(server.TTLSConfig{
		Config: server.Config{TLS: tc, FragmentSize: cfg.FragmentSize, FirstID: s.id + 1},
		Inner:  server.TTLSInnerFunc(s.inner.handle),
	})
	return s, nil
}

// Start returns the first request, or the packet of a configured fault; then
// status is not StatusContinue.
func (s *Server) Start() (packet []byte, status eap.Status) {
	if s.cfg.AskIdentity {
		s.asking = true
		return encode(eap.Packet{Code: eap.CodeRequest, ID: s.id, Type: eap.TypeIdentity}), eap.StatusContinue
	}
	return s.begin()
}

func (s *Server) begin() ([]byte, eap.Status) {
	s.started = true
	switch {
	case s.cfg.FailFirst:
		s.status = eap.StatusFailure
		return encode(eap.Packet{Code: eap.CodeFailure, ID: s.id}), s.status
	case s.cfg.SucceedFirst:
		s.status = eap.StatusSuccess
		return encode(eap.Packet{Code: eap.CodeSuccess, ID: s.id}), s.status
	}
	log.Infof(s.log, "initiating %s method (id 0x%02X)", eap.TypeTTLS, s.id+1)
	return s.ttls.Start(), eap.StatusContinue
}

// Handle takes a response and returns the packet to send: with StatusSuccess
// the Success, with StatusFailure the Failure, and the error says why.
func (s *Server) Handle(response []byte) (packet []byte, status eap.Status, err error) {
	p, err := eap.Parse(response)
	if err != nil || p.Code != eap.CodeResponse || s.status != eap.StatusContinue {
		s.status = eap.StatusFailure
		return encode(eap.Packet{Code: eap.CodeFailure, ID: s.id}), s.status, fmt.Errorf("handle EAP packet: not a response that is due: %w", orUnexpected(err))
	}
	if s.asking {
		s.asking = false
		if p.Type != eap.TypeIdentity || p.ID != s.id {
			s.status = eap.StatusFailure
			return encode(eap.Packet{Code: eap.CodeFailure, ID: p.ID}), s.status, errors.New("handle EAP packet: no identity")
		}
		log.Infof(s.log, "received EAP identity '%s'", printable(p.Data))
		packet, status = s.begin()
		return packet, status, nil
	}
	if p.Type == eap.TypeNak {
		s.status = eap.StatusFailure
		return encode(eap.Packet{Code: eap.CodeFailure, ID: p.ID}), s.status, errMethods
	}
	packet, s.status, err = s.ttls.Handle(response)
	return packet, s.status, err
}

var errUnexpected = errors.New("unexpected packet")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

// MSK returns the Master Session Key, nil while there is none.
func (s *Server) MSK() []byte { return s.ttls.MSK() }

// Identity returns the inner EAP identity, "" while there is none.
func (s *Server) Identity() string { return s.identity }

// TLSVersion returns the version negotiated, 0 while there is none. It may be
// called from any goroutine.
func (s *Server) TLSVersion() uint16 { return uint16(s.version.Load()) }

// Close ends TLS and every inner method, and zeroes keys.
func (s *Server) Close() {
	s.ttls.Close()
	if s.inner.current != nil {
		s.inner.current.close()
		s.inner.current = nil
	}
}

func encode(p eap.Packet) []byte {
	b, _ := p.AppendBinary(nil) // packets without data fit
	return b
}

// inner runs the methods inside the tunnel one after another.
type inner struct {
	server  *Server
	next    int // index into Methods
	id      uint8
	current method
}

// handle is ttls.Inner: the first response is the client's identity.
func (in *inner) handle(response []byte) ([]byte, error) {
	s := in.server
	p, err := eap.Parse(response)
	if err != nil {
		return nil, err
	}
	log.Infof(s.log, "received tunneled EAP-TTLS AVP [%s]", p)
	if p.Code != eap.CodeResponse {
		return nil, fmt.Errorf("%s: %w", p, errUnexpected)
	}
	if in.current == nil {
		if p.Type != eap.TypeIdentity {
			return nil, fmt.Errorf("%s instead of an identity: %w", p, errUnexpected)
		}
		s.identity = printable(p.Data)
		in.id = p.ID
		log.Infof(s.log, "received EAP identity '%s'", s.identity)
		return in.begin(string(p.Data))
	}
	if p.ID != in.id {
		return nil, fmt.Errorf("%s with identifier %d, %d is due: %w", p, p.ID, in.id, errUnexpected)
	}
	if p.Type == eap.TypeNak {
		return nil, fmt.Errorf("the client refuses %s", in.current.typ())
	}
	if p.Type != in.current.typ() {
		return nil, fmt.Errorf("%s, %s is due: %w", p, in.current.typ(), errUnexpected)
	}
	data, done, err := in.current.process(p.Data)
	if err != nil {
		return nil, err
	}
	if !done {
		return in.request(data)
	}
	log.Infof(s.log, "%s phase2 authentication of '%s' with %s successful", eap.TypeTTLS, s.identity, in.current.typ())
	in.current.close()
	return in.begin(s.identity)
}

// begin starts the next method; nil where none is left.
func (in *inner) begin(identity string) ([]byte, error) {
	s := in.server
	if in.next == len(s.cfg.Methods) {
		return nil, nil
	}
	t := s.cfg.Methods[in.next]
	in.next++
	switch t {
	case eap.TypeMD5:
		m, err := newMD5(in.id+1, s.cfg.Users, identity)
		if err != nil {
			return nil, err
		}
		in.current = m
	case eap.TypeTNC, eap.TypePT:
		tncServer, err := s.cfg.NewTNC(identity)
		if err != nil {
			return nil, err
		}
		m, err := newTNC(t, 0, tncServer)
		if err != nil {
			tncServer.Close()
			return nil, err
		}
		in.current = m
	default:
		return nil, fmt.Errorf("inner method %s is not supported", t)
	}
	return in.request(in.current.start())
}

func (in *inner) request(data []byte) ([]byte, error) {
	in.id++
	p := eap.Packet{Code: eap.CodeRequest, ID: in.id, Type: in.current.typ(), Data: data}
	log.Infof(in.server.log, "sending tunneled EAP-TTLS AVP [%s]", p)
	return p.AppendBinary(nil)
}

// printable returns at most 256 octets of an identity for logs and reports.
func printable(b []byte) string { return text.ASCII(b[:min(len(b), 256)]) }
