package pb

import (
	"bytes"
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Message is one PB-TNC message.
type Message interface {
	MessageType() MessageType
	// AppendBinary appends the message with its header (RFC 5793 section 4.2).
	AppendBinary(b []byte) ([]byte, error)
}

// MessageType names a kind of message.
type MessageType struct {
	Vendor uint32 // Private Enterprise Number, 24 bit
	Type   uint32
}

// Vendors.
const (
	VendorIETF     = 0x000000
	VendorTCG      = 0x005597
	VendorITA      = 0x00902a
	VendorReserved = 0xffffff
	TypeReserved   = 0xffffffff
)

// flagNoSkip tells a receiver that does not know the message to reject the batch.
const flagNoSkip = 0x80

// The messages that this package knows.
var (
	TypeExperimental          = MessageType{VendorIETF, 0}
	TypePA                    = MessageType{VendorIETF, 1}
	TypeAssessmentResult      = MessageType{VendorIETF, 2}
	TypeAccessRecommendation  = MessageType{VendorIETF, 3}
	TypeRemediationParameters = MessageType{VendorIETF, 4}
	TypeError                 = MessageType{VendorIETF, 5}
	TypeLanguagePreference    = MessageType{VendorIETF, 6}
	TypeReasonString          = MessageType{VendorIETF, 7}
	TypePDPReferral           = MessageType{VendorTCG, 1}
	TypeNoskipTest            = MessageType{VendorITA, 0}
	TypeMutualCapability      = MessageType{VendorITA, 1}
)

var typeNames = map[MessageType]string{
	TypeExperimental:          "PB-Experimental",
	TypePA:                    "PB-PA",
	TypeAssessmentResult:      "PB-Assessment-Result",
	TypeAccessRecommendation:  "PB-Access-Recommendation",
	TypeRemediationParameters: "PB-Remediation-Parameters",
	TypeError:                 "PB-Error",
	TypeLanguagePreference:    "PB-Language-Preference",
	TypeReasonString:          "PB-Reason-String",
	TypePDPReferral:           "PB-PDP-Referral",
	TypeNoskipTest:            "PB-Noskip-Test",
	TypeMutualCapability:      "PB-Mutual-Capability",
}

// String returns "IETF/PB-PA".
func (t MessageType) String() string {
	if n, ok := typeNames[t]; ok {
		return ifimc.VendorName(t.Vendor) + "/" + n
	}
	return fmt.Sprintf("%s/(%d)", ifimc.VendorName(t.Vendor), t.Type)
}

// rule holds the rules of RFC 5793 section 4 for one message type.
type rule struct {
	min        int  // octets, header included
	fixed      bool // min is the only length
	noSkip     bool // NOSKIP must be set; else it must be clear
	serverOnly bool // never sent by a client
	parse      func(r *wire.Reader) (Message, error)
}

// rules is the table of messages. All others are unknown, PB-Experimental too.
var rules = map[MessageType]rule{
	TypePA:                    {24, false, true, false, parsePA},
	TypeAssessmentResult:      {16, true, true, true, parseAssessmentResult},
	TypeAccessRecommendation:  {16, true, false, true, parseAccessRecommendation},
	TypeRemediationParameters: {20, false, false, true, parseRemediationParameters},
	TypeError:                 {20, false, true, false, parseError},
	TypeLanguagePreference:    {12, false, false, false, parseLanguagePreference},
	TypeReasonString:          {17, false, false, true, parseReasonString},
	TypePDPReferral:           {20, false, false, true, parsePDPReferral},
	TypeMutualCapability:      {16, false, false, false, parseMutualCapability},
}

// parseMessage decodes the next message of a batch, with the checks of
// RFC 5793 section 4.2 in their order.
//
//	0      1             4           8            12
//	+------+-------------+-----------+------------+--------
//	|Flags | Vendor u24  | Type u32  | Length u32 | Value
//	+------+-------------+-----------+------------+--------
func parseMessage(r *wire.Reader, h Header) (Message, error) {
	at, left := r.Offset(), r.Len()
	if left < MessageOverhead {
		return nil, invalid(at, fmt.Errorf("%d octets are too few for a PB-TNC message header: %w", left, wire.ErrTruncated))
	}
	flags := r.U8()
	mt := MessageType{Vendor: r.U24(), Type: r.U32()}
	length := r.U32()
	if uint64(length) > uint64(left) {
		return nil, invalid(at+8, fmt.Errorf("%d octets are too few for a PB-TNC message of %d: %w", left, length, wire.ErrTruncated))
	}
	if mt.Vendor == VendorReserved {
		return nil, invalid(at+1, fmt.Errorf("vendor ID 0x%06x is reserved: %w", mt.Vendor, wire.ErrValue))
	}
	if mt.Type == TypeReserved {
		return nil, invalid(at+4, fmt.Errorf("PB-TNC message type 0x%08x is reserved: %w", mt.Type, wire.ErrValue))
	}
	noSkip := flags&flagNoSkip != 0
	ru, known := rules[mt]
	if !known {
		if length < MessageOverhead {
			return nil, invalid(at+8, fmt.Errorf("PB-TNC message length %d: %w", length, wire.ErrLength))
		}
		if noSkip {
			// "If the NOSKIP flag is set … the recipient MUST NOT process any of the messages."
			return nil, &ProtocolError{Code: CodeUnsupportedMandatory, Offset: uint32(at), Err: fmt.Errorf("reject %s message (0x%06x/0x%08x)", mt, mt.Vendor, mt.Type)}
		}
		return Raw{Flags: flags, Kind: mt, Value: bytes.Clone(r.Bytes(int(length) - MessageOverhead))}, nil
	}
	if noSkip != ru.noSkip {
		not := ""
		if !ru.noSkip {
			not = " not"
		}
		return nil, invalid(at, fmt.Errorf("%s message must%s have NOSKIP flag set", mt, not))
	}
	if int64(length) < int64(ru.min) || ru.fixed && length != uint32(ru.min) {
		return nil, invalid(at, fmt.Errorf("%s message of %d octets: %w", mt, length, wire.ErrLength))
	}
	if ru.serverOnly && !h.FromServer {
		return nil, invalid(at, fmt.Errorf("%s message received from a PB-TNC client", mt))
	}
	v := r.Sub(typeNames[mt], int(length)-MessageOverhead)
	v.Element(typeNames[mt], mt.Vendor, mt.Type)
	m, err := ru.parse(v)
	if err == nil {
		err = v.Finish()
	}
	if err != nil {
		return nil, asInvalid(err, at)
	}
	return m, nil
}

// appendMessage appends a message whose value the function value appends.
func appendMessage(b []byte, flags uint8, t MessageType, value func([]byte) ([]byte, error)) ([]byte, error) {
	start := len(b)
	b = append(b, flags)
	b = wire.AppendU24(b, t.Vendor)
	b = wire.AppendU32(b, t.Type)
	b = wire.AppendU32(b, 0)
	b, err := value(b)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", t, err)
	}
	n := len(b) - start
	if uint64(n) > math.MaxUint32 {
		return nil, fmt.Errorf("encode %s: %w", t, wire.ErrTooLong)
	}
	wire.PutU32At(b, start+8, uint32(n))
	return b, nil
}

// Raw is a message of an unknown type, kept as received.
type Raw struct {
	Flags uint8
	Kind  MessageType
	Value []byte
}

// MessageType returns the type that the message came with.
func (m Raw) MessageType() MessageType { return m.Kind }

// AppendBinary appends the message as it was received.
func (m Raw) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, m.Flags, m.Kind, func(b []byte) ([]byte, error) { return append(b, m.Value...), nil })
}
