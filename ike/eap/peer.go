package eap

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Status is the progress of a conversation.
type Status uint8

const (
	StatusContinue Status = iota // send the response, expect another request
	StatusSuccess                // the server sent Success and the method agrees
	StatusFailure                // the conversation has failed; the error says why
)

// String returns the status in one word.
func (s Status) String() string {
	switch s {
	case StatusContinue:
		return "continue"
	case StatusSuccess:
		return "success"
	case StatusFailure:
		return "failure"
	}
	return fmt.Sprintf("(%d)", uint8(s))
}

var (
	errEnded       = errors.New("EAP conversation has ended")
	errNotRequest  = errors.New("expected an EAP request")
	errNoMethod    = errors.New("received EAP_SUCCESS but no method ran")
	errSwitch      = errors.New("server changed the EAP method in the middle of the conversation")
	errManyRequest = errors.New("server sends requests without end")
)

// requestsMax ends a conversation that never ends: 20,000 IMA entries in
// fragments of 1,024 octets take about 2,200 requests.
const requestsMax = 8192

// Config is what a Peer needs.
type Config struct {
	// Identity answers Identity requests, without terminating NUL.
	Identity string
	// Methods are the methods that the peer accepts, the preferred one first: a
	// Nak offers them in this order.
	Methods []Offer
	// Sequence accepts one method after the other without a Success between
	// them, as servers do inside the tunnel of EAP-TTLS.
	Sequence bool
	// Logger gets strongSwan's lines about methods; nil discards.
	Logger *slog.Logger
}

// Peer is the client's EAP state machine (RFC 4137 section 4) without the lower
// layer's retransmission. It belongs to one goroutine; Close it.
type Peer struct {
	cfg      Config
	log      *slog.Logger
	method   Method
	last     Type // last method that a request was answered with
	decision Decision
	cause    error // why the method failed, while its last response is under way
	ended    bool
	size     int
	requests int

	lastRequest  []byte
	lastResponse []byte
}

// NewPeer returns a Peer that waits for the first request.
func NewPeer(cfg Config) *Peer {
	return &Peer{cfg: cfg, log: log.Group(cfg.Logger, log.IKE)}
}

// Handle takes one packet from the server and returns the response to send.
// With StatusContinue there is a response and no error; with StatusSuccess
// there is neither; with StatusFailure there is an error. A repeated request
// gets the stored response again (RFC 3748 section 4.1). The response belongs to the
// Peer until the next call.
func (p *Peer) Handle(packet []byte) (response []byte, status Status, err error) {
	if p.ended {
		return nil, StatusFailure, errEnded
	}
	response, status, err = p.handle(packet)
	if status != StatusContinue {
		p.ended = true
	}
	return response, status, err
}

func (p *Peer) handle(packet []byte) ([]byte, Status, error) {
	fail := func(err error) ([]byte, Status, error) {
		p.decision = DecisionFail
		return nil, StatusFailure, err
	}
	req, err := Parse(packet)
	if err != nil {
		return fail(err)
	}
	switch req.Code {
	case CodeSuccess:
		return p.success()
	case CodeFailure:
		return fail(p.failure())
	case CodeRequest:
	default:
		return fail(fmt.Errorf("handle %s: %w", req, errNotRequest))
	}
	packet = packet[:req.Len()]
	// A server that starts a new method inside a tunnel may draw the same
	// identifier again: only an identical request is a repetition.
	if p.lastResponse != nil && bytes.Equal(packet, p.lastRequest) {
		return p.lastResponse, StatusContinue, nil
	}
	if p.requests++; p.requests > requestsMax {
		return fail(fmt.Errorf("handle %s: %w", req, errManyRequest))
	}
	res, err := p.answer(req)
	if err != nil {
		return fail(err)
	}
	b, err := res.AppendBinary(nil)
	if err != nil {
		return fail(err)
	}
	p.lastRequest = append(p.lastRequest[:0], packet...)
	p.lastResponse = b
	return b, StatusContinue, nil
}

func (p *Peer) success() ([]byte, Status, error) {
	switch {
	case p.cause != nil:
		p.decision = DecisionFail
		return nil, StatusFailure, p.cause
	case p.method == nil:
		return nil, StatusFailure, errNoMethod
	case p.decision != DecisionMaySucceed:
		return nil, StatusFailure, fmt.Errorf("%s: %w", p.method.Type(), ErrEarly)
	}
	msk := "no "
	if p.MSK() != nil {
		msk = ""
	}
	log.Infof(p.log, "EAP method %s succeeded, %sMSK established", p.method.Type(), msk)
	return nil, StatusSuccess, nil
}

func (p *Peer) failure() error {
	p.log.Info("received EAP_FAILURE, EAP authentication failed")
	if p.cause != nil {
		return p.cause
	}
	if p.last == TypeNone {
		return fmt.Errorf("%w: %w (EAP identity %q)", ErrFailure, ErrNoMethodOffered, p.cfg.Identity)
	}
	if cause := p.Explain(); cause != nil {
		return fmt.Errorf("%w: %w", ErrFailure, cause)
	}
	return fmt.Errorf("%w after %s", ErrFailure, p.last)
}

// Explain returns the probable cause of a Failure at this point, nil where
// none is known.
func (p *Peer) Explain() error {
	if e, ok := p.method.(Explainer); ok {
		return e.Explain()
	}
	switch p.last {
	case TypeIdentity:
		return fmt.Errorf("%w %q", ErrIdentityRefused, p.cfg.Identity)
	case TypeNak:
		return ErrNoCommonMethod
	}
	return nil
}

func (p *Peer) answer(req Packet) (Packet, error) {
	res := Packet{Code: CodeResponse, ID: req.ID, Type: req.Type, Expanded: req.Expanded}
	switch req.Type {
	case TypeIdentity:
		log.Infof(p.log, "server requested EAP_IDENTITY (id 0x%02X), sending '%s'", req.ID, p.cfg.Identity)
		if p.method == nil {
			p.last = TypeIdentity
		}
		res.Data = []byte(p.cfg.Identity)
		return res, nil
	case TypeNotification:
		log.Infof(p.log, "received EAP_NOTIFICATION: %q", req.Data)
		return res, nil
	case TypeNak, TypeNone:
		return Packet{}, fmt.Errorf("handle %s: %w", req, errNotRequest)
	}
	if p.method != nil && p.method.Type() != req.Type {
		if !p.cfg.Sequence {
			return Packet{}, fmt.Errorf("%s asked for during %s: %w", req.Type, p.method.Type(), errSwitch)
		}
		if p.cause != nil {
			return Packet{}, p.cause
		}
	}
	if p.method == nil || p.method.Type() != req.Type {
		m, err := p.start(req)
		if err != nil {
			return Packet{}, err
		}
		if m == nil {
			if p.method == nil {
				p.last = TypeNak
			}
			return nak(req, p.offers()), nil
		}
		if p.method != nil {
			p.method.Close()
		}
		p.method, p.last, p.decision = m, req.Type, DecisionFail
	}
	reply, err := p.method.Handle(req)
	if err != nil {
		log.Infof(p.log, "%s method failed", req.Type)
		return Packet{}, fmt.Errorf("%s: %w", req.Type, err)
	}
	p.decision = reply.Decision
	if reply.Err != nil {
		p.decision = DecisionFail
		p.cause = fmt.Errorf("%s: %w", req.Type, reply.Err)
	}
	res.Data = reply.Data
	return res, nil
}

// start makes the method that req asks for; nil where it is not on offer.
func (p *Peer) start(req Packet) (Method, error) {
	for _, o := range p.cfg.Methods {
		if o.Type != req.Type {
			continue
		}
		log.Infof(p.log, "server requested %s authentication (id 0x%02X)", req.Type, req.ID)
		m, err := o.New()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", req.Type, err)
		}
		if s, ok := m.(Sizer); ok && p.size > 0 {
			s.SetFragmentSize(p.size)
		}
		return m, nil
	}
	if len(p.cfg.Methods) > 0 {
		log.Infof(p.log, "requesting %s authentication, sending EAP_NAK", p.cfg.Methods[0].Type)
	} else {
		p.log.Info("EAP method not supported, sending EAP_NAK")
	}
	return nil, nil
}

func (p *Peer) offers() []Type {
	types := make([]Type, len(p.cfg.Methods))
	for i, o := range p.cfg.Methods {
		types[i] = o.Type
	}
	return types
}

// IdentityResponse returns a Response/Identity with identifier 0 that no
// request asked for: the first packet inside the tunnel of EAP-TTLS
// (RFC 5281 section 11.2.1).
func (p *Peer) IdentityResponse() ([]byte, error) {
	p.last = TypeIdentity
	return Packet{Code: CodeResponse, Type: TypeIdentity, Data: []byte(p.cfg.Identity)}.AppendBinary(nil)
}

// SetFragmentSize limits the EAP packets that the methods send to a number of
// octets, as the lower layer learns what it can carry. 0 leaves their default.
func (p *Peer) SetFragmentSize(octets int) {
	p.size = octets
	if s, ok := p.method.(Sizer); ok && octets > 0 {
		s.SetFragmentSize(octets)
	}
}

// Decision returns what the running method says about a Success now.
func (p *Peer) Decision() Decision { return p.decision }

// Method returns the type of the running method, TypeNone before the first.
func (p *Peer) Method() Type {
	if p.method == nil {
		return TypeNone
	}
	return p.method.Type()
}

// MSK returns the Master Session Key of the running method, nil where it has
// none (yet). The slice is zeroed on Close.
func (p *Peer) MSK() []byte {
	if k, ok := p.method.(Keyer); ok {
		return k.MSK()
	}
	return nil
}

// SessionID returns the EAP Session-Id of the running method, or nil.
func (p *Peer) SessionID() []byte {
	if k, ok := p.method.(Keyer); ok {
		return k.SessionID()
	}
	return nil
}

// Close closes the method, which zeroes its keys. It may be called again.
func (p *Peer) Close() {
	p.ended = true
	if p.method != nil {
		p.method.Close()
	}
	p.lastRequest, p.lastResponse = nil, nil
}
