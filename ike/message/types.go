package message

import "fmt"

// PayloadType is a payload type of the IANA registry "IKEv2 Payload Types".
type PayloadType uint8

// Payload types (RFC 7296 section 3.2, RFC 7383 section 2.5).
const (
	NoNextPayload   PayloadType = 0
	TypeSA          PayloadType = 33
	TypeKE          PayloadType = 34
	TypeIDi         PayloadType = 35
	TypeIDr         PayloadType = 36
	TypeCert        PayloadType = 37
	TypeCertRequest PayloadType = 38
	TypeAuth        PayloadType = 39
	TypeNonce       PayloadType = 40
	TypeNotify      PayloadType = 41
	TypeDelete      PayloadType = 42
	TypeVendorID    PayloadType = 43
	TypeTSi         PayloadType = 44
	TypeTSr         PayloadType = 45
	TypeSK          PayloadType = 46
	TypeCP          PayloadType = 47
	TypeEAP         PayloadType = 48
	TypeSKF         PayloadType = 53
)

var payloadNames = map[PayloadType]string{
	NoNextPayload: "NONE", TypeSA: "SA", TypeKE: "KE", TypeIDi: "IDi", TypeIDr: "IDr", TypeCert: "CERT",
	TypeCertRequest: "CERTREQ", TypeAuth: "AUTH", TypeNonce: "No", TypeNotify: "N", TypeDelete: "D",
	TypeVendorID: "V", TypeTSi: "TSi", TypeTSr: "TSr", TypeSK: "E", TypeCP: "CP", TypeEAP: "EAP",
	49: "GSPM", 50: "IDg", 51: "GSA", 52: "KD", TypeSKF: "EF",
}

// String returns strongSwan's short name of the type.
func (t PayloadType) String() string {
	if n, ok := payloadNames[t]; ok {
		return n
	}
	return fmt.Sprintf("(%d)", uint8(t))
}

// ExchangeType is an exchange type of the IANA registry.
type ExchangeType uint8

// Exchange types.
const (
	IKESAInit        ExchangeType = 34
	IKEAuth          ExchangeType = 35
	CreateChildSA    ExchangeType = 36
	Informational    ExchangeType = 37
	IKESessionResume ExchangeType = 38
	IKEIntermediate  ExchangeType = 43
	IKEFollowupKE    ExchangeType = 44
)

var exchangeNames = map[ExchangeType]string{
	IKESAInit: "IKE_SA_INIT", IKEAuth: "IKE_AUTH", CreateChildSA: "CREATE_CHILD_SA", Informational: "INFORMATIONAL",
	IKESessionResume: "IKE_SESSION_RESUME", IKEIntermediate: "IKE_INTERMEDIATE", IKEFollowupKE: "IKE_FOLLOWUP_KE",
}

func (t ExchangeType) String() string {
	if n, ok := exchangeNames[t]; ok {
		return n
	}
	return fmt.Sprintf("EXCHANGE_%d", uint8(t))
}

// Flags are the flags of the IKE header.
type Flags uint8

// Flags of the IKE header (RFC 7296 section 3.1).
const (
	FlagInitiator     Flags = 0x08 // sender is the original initiator of the IKE SA
	FlagHigherVersion Flags = 0x10 // sender speaks a higher major version too
	FlagResponse      Flags = 0x20 // response to the request with the same message ID
)

// ProtocolID names what a proposal, a notify or a delete is about.
type ProtocolID uint8

// Protocols (RFC 7296 section 3.3.1).
const (
	ProtocolNone ProtocolID = 0
	ProtocolIKE  ProtocolID = 1
	ProtocolAH   ProtocolID = 2
	ProtocolESP  ProtocolID = 3
)

func (p ProtocolID) String() string {
	switch p {
	case ProtocolNone:
		return "NONE"
	case ProtocolIKE:
		return "IKE"
	case ProtocolAH:
		return "AH"
	case ProtocolESP:
		return "ESP"
	}
	return fmt.Sprintf("PROTO_%d", uint8(p))
}
