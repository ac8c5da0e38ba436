package pb

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Assessment is a global assessment result (RFC 5793 section 4.6).
type Assessment uint32

// Assessment results.
const (
	Compliant    Assessment = 0
	MinorFailure Assessment = 1
	MajorFailure Assessment = 2
	Erroneous    Assessment = 3
	DontKnow     Assessment = 4
)

func (a Assessment) String() string {
	switch a {
	case Compliant:
		return "compliant"
	case MinorFailure:
		return "non-compliant minor"
	case MajorFailure:
		return "non-compliant major"
	case Erroneous:
		return "error"
	case DontKnow:
		return "don't know"
	}
	return fmt.Sprintf("(%d)", uint32(a))
}

// AssessmentResult is a PB-Assessment-Result message (RFC 5793 section 4.6): u32 result.
type AssessmentResult struct{ Result Assessment }

// MessageType returns TypeAssessmentResult.
func (AssessmentResult) MessageType() MessageType { return TypeAssessmentResult }

// AppendBinary appends the message.
func (m AssessmentResult) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, flagNoSkip, TypeAssessmentResult, func(b []byte) ([]byte, error) {
		if m.Result > DontKnow {
			return nil, fmt.Errorf("invalid assessment result (%d): %w", uint32(m.Result), wire.ErrValue)
		}
		return wire.AppendU32(b, uint32(m.Result)), nil
	})
}

func parseAssessmentResult(r *wire.Reader) (Message, error) {
	at := r.Offset()
	m := AssessmentResult{Assessment(r.U32())}
	if m.Result > DontKnow {
		r.Fail(at, fmt.Errorf("invalid assessment result (%d): %w", uint32(m.Result), wire.ErrValue))
	}
	return m, r.Err()
}

// Access is an access recommendation code (RFC 5793 section 4.7).
type Access uint16

// Access recommendation codes.
const (
	AccessAllowed Access = 1
	AccessDenied  Access = 2
	Quarantined   Access = 3
)

func (a Access) String() string {
	switch a {
	case AccessAllowed:
		return "Access Allowed"
	case AccessDenied:
		return "Access Denied"
	case Quarantined:
		return "Quarantined"
	}
	return fmt.Sprintf("(%d)", uint16(a))
}

// AccessRecommendation is a PB-Access-Recommendation message (RFC 5793 section 4.7):
// u16 reserved, u16 code.
type AccessRecommendation struct{ Code Access }

// MessageType returns TypeAccessRecommendation.
func (AccessRecommendation) MessageType() MessageType { return TypeAccessRecommendation }

// AppendBinary appends the message.
func (m AccessRecommendation) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypeAccessRecommendation, func(b []byte) ([]byte, error) {
		if m.Code < AccessAllowed || m.Code > Quarantined {
			return nil, fmt.Errorf("invalid access recommendation code (%d): %w", uint16(m.Code), wire.ErrValue)
		}
		return wire.AppendU16(wire.AppendU16(b, 0), uint16(m.Code)), nil
	})
}

func parseAccessRecommendation(r *wire.Reader) (Message, error) {
	r.Skip(2)
	at := r.Offset()
	m := AccessRecommendation{Access(r.U16())}
	if m.Code < AccessAllowed || m.Code > Quarantined {
		r.Fail(at, fmt.Errorf("invalid access recommendation code (%d): %w", uint16(m.Code), wire.ErrValue))
	}
	return m, r.Err()
}
