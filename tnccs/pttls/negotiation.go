package pttls

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Errors of the negotiation.
var (
	// ErrAuthentication is returned when the server refuses the authentication.
	ErrAuthentication = errors.New("the server refused the authentication")
	// ErrNoCredentials is returned when the server asks for an authentication that
	// is not configured.
	ErrNoCredentials = errors.New("the server asks for an authentication that is not configured")
)

const (
	maxRounds  = 8   // SASL exchanges of a connection
	maxIgnored = 256 // messages of unknown types, and errors that are not fatal, in a row
)

// phase is a phase between TLS and the first batch (RFC 6876 section 3.4).
type phase uint8

const (
	versioning   phase = iota // waiting for the Version Response
	mechanisms                // waiting for SASL Mechanisms
	exchanging                // waiting for the result of the chosen mechanism
	transporting              // the negotiation is over
	failed
)

func (p phase) String() string {
	return [...]string{"version negotiation", "SASL negotiation", "SASL exchange", "data transport", "failure"}[p]
}

// negotiation is the client's machine from the Version Request to the empty list
// of SASL mechanisms: messages in, messages out, without a socket.
type negotiation struct {
	identity string
	secret   []byte // nil: no PLAIN
	external bool   // TLS authenticated this end by a certificate
	log      *slog.Logger

	phase   phase
	rounds  int
	ignored int
	offer   Mechanisms // the server's last list
	chosen  string
	done    []string // mechanisms that succeeded
	tried   []string // mechanisms that failed
}

// start returns the first message.
func (n *negotiation) start() []Message {
	log.Infof(n.log, "sending offer for PT-TLS version %d", Version)
	v, _ := VersionRequest{Version, Version, Version}.AppendBinary(nil)
	return []Message{{Type: TypeVersionRequest, Value: v}}
}

// handle handles one message of the server and returns the messages to send. An
// error ends the connection after the messages that come with it. Values of
// messages to send may hold the secret: zero them.
func (n *negotiation) handle(m Message) (out []Message, err error) {
	out, err = n.message(m)
	var pe *ProtocolError
	if errors.As(err, &pe) {
		out = append(out, report(pe.Report))
	}
	if err != nil {
		n.phase = failed
	}
	return out, err
}

// report returns the message of an error.
func report(e Error) Message {
	v, _ := e.AppendBinary(nil) // fails for a reserved vendor only
	return Message{Type: TypeError, Value: v}
}

func (n *negotiation) message(m Message) ([]Message, error) {
	if m.Is(TypeError) {
		return nil, received(n.log, m)
	}
	if m.Vendor != 0 || m.Type > TypeError {
		return n.unknown(m)
	}
	switch {
	case n.phase == versioning && m.Type == TypeVersionResponse:
		v, err := ParseVersionResponse(m.Value)
		if err != nil {
			return nil, refuse(CodeMalformed, m, err)
		}
		if v.Version != Version {
			n.log.Error("PT-TLS version negotiation failed")
			return nil, refuse(CodeVersionNotSupported, m, fmt.Errorf("it chose version %d, and %d was offered", v.Version, Version))
		}
		n.phase = mechanisms
		n.log.Info("doing SASL client authentication")
		return nil, nil
	case n.phase == mechanisms && m.Type == TypeSASLMechanisms:
		ms, err := ParseMechanisms(m.Value)
		if err != nil {
			return nil, refuse(CodeMalformed, m, err)
		}
		return n.choose(m, ms)
	case n.phase == exchanging && m.Type == TypeSASLAuthentication:
		// PLAIN and EXTERNAL are over with the initial response.
		return nil, refuse(CodeSASLMechanism, m, fmt.Errorf("SASL %s has no challenge", n.chosen))
	case n.phase == exchanging && m.Type == TypeSASLResult:
		r, err := ParseSASLResult(m.Value)
		if err != nil {
			return nil, refuse(CodeMalformed, m, err)
		}
		return n.result(m, r)
	case n.phase == exchanging && m.Type == TypeSASLMechanisms && len(n.tried) > 0:
		// Some servers repeat their list after a mechanism has failed; the next
		// mechanism has already been chosen from the first list.
		return nil, nil
	}
	return nil, refuse(CodeInvalidMessage, m, fmt.Errorf("%s message during %s", m.Type, n.phase))
}

// unknown answers a message of an unknown type, which is no fatal error (RFC 6876
// section 3.6).
func (n *negotiation) unknown(m Message) ([]Message, error) {
	log.Infof(n.log, "ignoring PT-TLS message of unknown type %s", m.Name())
	if n.ignored++; n.ignored > maxIgnored {
		return nil, refuse(CodeInvalidMessage, m, fmt.Errorf("more than %d messages of unknown types", maxIgnored))
	}
	return []Message{report(refuse(CodeTypeNotSupported, m, nil).Report)}, nil
}

// choose answers a list of mechanisms with EXTERNAL if TLS authenticated this end,
// else with PLAIN if there is a password.
func (n *negotiation) choose(m Message, ms Mechanisms) ([]Message, error) {
	if len(ms) == 0 {
		n.log.Info("PT-TLS authentication complete")
		n.phase = transporting
		return nil, nil
	}
	n.offer = ms
	offered := func(name string) bool {
		return slices.Contains(ms, name) && !slices.Contains(n.tried, name) && !slices.Contains(n.done, name)
	}
	if n.rounds++; n.rounds > maxRounds {
		return nil, refuse(CodeSASLMechanism, m, fmt.Errorf("more than %d SASL exchanges", maxRounds))
	}
	s := Selection{}
	switch {
	case n.external && offered(MechanismExternal):
		s.Mechanism = MechanismExternal // its response, the authorization identity, is empty
	case n.secret != nil && offered(MechanismPlain):
		s.Mechanism = MechanismPlain
		var err error
		if s.Initial, err = Plain(n.identity, n.secret); err != nil {
			return []Message{report(refuse(CodeSASLMechanism, m, nil).Report)}, err
		}
	default:
		cause := ErrNoCredentials
		if len(n.tried) > 0 || n.secret != nil && slices.Contains(n.done, MechanismPlain) {
			cause = ErrAuthentication
		}
		return []Message{report(refuse(CodeSASLMechanism, m, nil).Report)},
			n.none(cause, ms)
	}
	n.chosen, n.phase = s.Mechanism, exchanging
	v, err := s.AppendBinary(make([]byte, 0, 1+len(s.Mechanism)+len(s.Initial)))
	clear(s.Initial)
	if err != nil {
		return nil, err
	}
	return []Message{{Type: TypeSASLSelection, Value: v}}, nil
}

// none returns the error of a list without a usable mechanism.
func (n *negotiation) none(cause error, ms Mechanisms) error {
	if len(n.tried) > 0 {
		return fmt.Errorf("%w of %q by SASL %s", cause, n.identity, strings.Join(n.tried, ", "))
	}
	return fmt.Errorf("%w: it offers SASL %s", cause, strings.Join(ms, ", "))
}

// result handles the result of a SASL exchange. After a failure the next mechanism
// of the list is tried; the same password is not sent twice.
func (n *negotiation) result(m Message, r SASLResult) ([]Message, error) {
	log.Infof(n.log, "received SASL %s result", r.Code)
	switch r.Code {
	case SASLSuccess:
		if !allZero(r.Data) {
			return nil, refuse(CodeSASLMechanism, m, fmt.Errorf("SASL %s has no data with success", n.chosen))
		}
		n.done = append(n.done, n.chosen)
		n.phase = mechanisms
		return nil, nil
	case SASLFailure, SASLMechanismFailure:
		n.tried = append(n.tried, n.chosen)
		return n.choose(m, n.offer)
	case SASLAbort:
		return nil, fmt.Errorf("%w of %q by SASL %s", ErrAuthentication, n.identity, n.chosen)
	}
	return nil, refuse(CodeInvalidParameter, m, fmt.Errorf("unknown SASL result %d", r.Code))
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// received returns an error that the server reports, nil if it is not fatal.
// Errors are never answered.
func received(l *slog.Logger, m Message) error {
	e, err := ParseError(m.Value)
	if err != nil {
		return &PeerError{}
	}
	if !e.Fatal() {
		log.Infof(l, "ignoring PT-TLS error '%s'", e)
		return nil
	}
	log.Errorf(l, "received PT-TLS error '%s'", e)
	return &PeerError{Received: e}
}

// logMessage logs a message as strongSwan does.
func logMessage(l *slog.Logger, verb string, m Message) {
	log.Detailf(l, "%s PT-TLS message #%d of type '%s' (%d bytes)", verb, m.ID, m.Name(), HeaderSize+len(m.Value))
}
