package xml

import "fmt"

// Message is one child of a batch.
type Message interface {
	// MessageType is the value of Type in a TNCC-TNCS-Message, 0 for IMCIMV.
	MessageType() uint32
}

// Types of TNCC-TNCS-Message.
const (
	TypeRecommendation    = 1
	TypeError             = 2
	TypePreferredLanguage = 3
	TypeReasonStrings     = 4
	TypeContactInfo       = 5
)

// IMCIMV is an IMC-IMV-Message: one message between collector and verifier.
type IMCIMV struct {
	Type uint32 // vendor (24 bit) << 8 | subtype (8 bit)
	Body []byte
}

// Recommendation is a TNCCS-Recommendation of the server.
type Recommendation struct{ Type RecommendationType }

// RecommendationType is the attribute type of a TNCCS-Recommendation.
type RecommendationType string

// Recommendations.
const (
	Allow   RecommendationType = "allow"
	Isolate RecommendationType = "isolate"
	None    RecommendationType = "none"
)

// Error is a TNCCS-Error. Every one ends the session.
type Error struct {
	Type ErrorType
	Text string
}

// ErrorType is the attribute type of a TNCCS-Error.
type ErrorType string

// Errors.
const (
	BatchTooLong         ErrorType = "batch-too-long"
	MalformedBatch       ErrorType = "malformed-batch"
	InvalidBatchID       ErrorType = "invalid-batch-id"
	InvalidRecipientType ErrorType = "invalid-recipient-type"
	InternalError        ErrorType = "internal-error"
	Other                ErrorType = "other"
)

func (t ErrorType) known() bool {
	switch t {
	case BatchTooLong, MalformedBatch, InvalidBatchID, InvalidRecipientType, InternalError, Other:
		return true
	}
	return false
}

// PreferredLanguage is a TNCCS-PreferredLanguage of the client.
type PreferredLanguage struct{ Languages string }

// ReasonStrings is a TNCCS-ReasonStrings of the server.
type ReasonStrings struct{ Reasons []Reason }

// Reason is one ReasonString.
type Reason struct {
	Language string // attribute xml:lang, may be empty
	Text     string
}

// ContactInfo is a TNCCS-TNCSContactInfo of the server.
type ContactInfo struct{ Address, Port string }

// Raw is a TNCC-TNCS-Message of another type, or one with Base64 instead of XML,
// which is ignored.
type Raw struct{ Type uint32 }

// MessageType returns 0.
func (IMCIMV) MessageType() uint32 { return 0 }

// MessageType returns TypeRecommendation.
func (Recommendation) MessageType() uint32 { return TypeRecommendation }

// MessageType returns TypeError.
func (Error) MessageType() uint32 { return TypeError }

// MessageType returns TypePreferredLanguage.
func (PreferredLanguage) MessageType() uint32 { return TypePreferredLanguage }

// MessageType returns TypeReasonStrings.
func (ReasonStrings) MessageType() uint32 { return TypeReasonStrings }

// MessageType returns TypeContactInfo.
func (ContactInfo) MessageType() uint32 { return TypeContactInfo }

// MessageType returns the type that it came with.
func (m Raw) MessageType() uint32 { return m.Type }

// ProtocolError is an error that this end found in a batch. Nothing of the batch
// may be acted upon.
type ProtocolError struct {
	Type ErrorType
	Err  error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("TNCCS error '%s': %v", e.Type, e.Err)
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// Message returns the TNCCS-Error to send.
func (e *ProtocolError) Message() Error { return Error{Type: e.Type, Text: e.Err.Error()} }

// PeerError is a TNCCS-Error that the peer sent.
type PeerError struct{ Received Error }

// Error returns the text that strongSwan logs.
func (e *PeerError) Error() string {
	return fmt.Sprintf("received '%s' error: %s", e.Received.Type, e.Received.Text)
}
