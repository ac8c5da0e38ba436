package pttls

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// SASL mechanisms that this package knows (RFC 4616; RFC 4422 appendix A).
const (
	MechanismPlain    = "PLAIN"
	MechanismExternal = "EXTERNAL"
)

const (
	maxMechanismName = 20 // octets (RFC 4422 section 3.1)
	maxMechanisms    = 64 // names of a list that are kept
)

// Mechanisms is the value of a SASL Mechanisms message (RFC 6876 section 3.8.2): a list of
// names, each behind an octet with its length in the low 5 bits. The empty list
// ends the negotiation.
type Mechanisms []string

// AppendBinary encodes the list.
func (ms Mechanisms) AppendBinary(b []byte) ([]byte, error) {
	var err error
	for _, m := range ms {
		if b, err = appendMechanism(b, m); err != nil {
			return b, err
		}
	}
	return b, nil
}

func appendMechanism(b []byte, name string) ([]byte, error) {
	if !validMechanism(name) {
		return b, fmt.Errorf("encode SASL mechanism %q: %w", name, wire.ErrValue)
	}
	return append(append(b, byte(len(name))), name...), nil
}

// validMechanism checks the grammar of RFC 4422 section 3.1.
func validMechanism(name string) bool {
	return name != "" && len(name) <= maxMechanismName && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func readMechanism(r *wire.Reader) string {
	at := r.Offset()
	name := string(r.Bytes(int(r.U8() & 0x1f))) // the upper 3 bits are reserved
	if r.Err() == nil && !validMechanism(name) {
		r.Fail(at, fmt.Errorf("%w: no SASL mechanism name", wire.ErrValue))
	}
	return name
}

// ParseMechanisms decodes the value of a SASL Mechanisms message. Offsets of
// errors count from the start of the value.
func ParseMechanisms(value []byte) (Mechanisms, error) {
	r := wire.NewReader("SASL Mechanisms", value)
	ms := Mechanisms{}
	for r.Len() > 0 {
		if len(ms) == maxMechanisms {
			r.Fail(r.Offset(), fmt.Errorf("%w: more than %d mechanisms", wire.ErrValue, maxMechanisms))
			break
		}
		ms = append(ms, readMechanism(r))
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return ms, nil
}

// Selection is the value of a SASL Mechanism Selection (RFC 6876 section 3.8.3): a name behind
// its length, then the initial response.
type Selection struct {
	Mechanism string
	Initial   []byte // empty: none
}

// AppendBinary encodes s.
func (s Selection) AppendBinary(b []byte) ([]byte, error) {
	b, err := appendMechanism(b, s.Mechanism)
	return append(b, s.Initial...), err
}

// SASLCode is the outcome of a SASL exchange (RFC 6876 section 3.8.5).
type SASLCode uint16

// SASL results.
const (
	SASLSuccess          SASLCode = 0
	SASLFailure          SASLCode = 1 // the client may try again
	SASLAbort            SASLCode = 2 // the client must stop
	SASLMechanismFailure SASLCode = 3
)

func (c SASLCode) String() string {
	switch c {
	case SASLSuccess:
		return "Success"
	case SASLFailure:
		return "Failure"
	case SASLAbort:
		return "Abort"
	case SASLMechanismFailure:
		return "Mechanism Failure"
	}
	return fmt.Sprintf("(%d)", uint16(c))
}

// SASLResult is the value of a SASL Result. The RFC's code has two octets;
// strongSwan sends one, and reads the first only.
type SASLResult struct {
	Code  SASLCode
	Data  []byte // of the mechanism, with success only
	Short bool   // strongSwan's form, of one octet
}

// AppendBinary encodes s.
func (s SASLResult) AppendBinary(b []byte) ([]byte, error) {
	if !s.Short {
		return append(wire.AppendU16(b, uint16(s.Code)), s.Data...), nil
	}
	if s.Code > 0xff || len(s.Data) > 0 {
		return b, fmt.Errorf("encode SASL Result: %w", wire.ErrValue)
	}
	return append(b, byte(s.Code)), nil
}

// ParseSASLResult decodes the value of a SASL Result in both forms.
func ParseSASLResult(value []byte) (SASLResult, error) {
	r := wire.NewReader("SASL Result", value)
	if len(value) == 1 {
		return SASLResult{Code: SASLCode(r.U8()), Short: true}, nil
	}
	s := SASLResult{Code: SASLCode(r.U16())}
	s.Data = bytes.Clone(r.Rest())
	if err := r.Finish(); err != nil {
		return SASLResult{}, err
	}
	return s, nil
}

// Plain returns the only message of PLAIN (RFC 4616): an empty authorization
// identity, NUL, identity, NUL, secret. It holds the secret: zero it after use.
func Plain(identity string, secret []byte) ([]byte, error) {
	switch {
	case identity == "" || len(identity) > 255 || !utf8.ValidString(identity) || strings.IndexByte(identity, 0) >= 0:
		return nil, errors.New("SASL PLAIN: the identity must have 1 to 255 octets of UTF-8 without NUL")
	case len(secret) == 0 || len(secret) > 255 || bytes.IndexByte(secret, 0) >= 0:
		return nil, errors.New("SASL PLAIN: the password must have 1 to 255 octets without NUL")
	}
	b := make([]byte, 0, 2+len(identity)+len(secret))
	b = append(append(b, 0), identity...)
	return append(append(b, 0), secret...), nil
}
