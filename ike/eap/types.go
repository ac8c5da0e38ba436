package eap

import (
	"fmt"
	"strings"
)

// Code is the first octet of a packet (RFC 3748 section 4).
type Code uint8

// The four codes.
const (
	CodeRequest  Code = 1
	CodeResponse Code = 2
	CodeSuccess  Code = 3
	CodeFailure  Code = 4
)

// String returns the short name of strongSwan's logs: REQ, RES, SUCC, FAIL.
func (c Code) String() string {
	switch c {
	case CodeRequest:
		return "REQ"
	case CodeResponse:
		return "RES"
	case CodeSuccess:
		return "SUCC"
	case CodeFailure:
		return "FAIL"
	}
	return fmt.Sprintf("(%d)", uint8(c))
}

// Type is a method type: a legacy type below 254 as it is, an expanded one as
// vendor (24 bits) above 32 bits of type (RFC 3748 section 5.7). Expanded types of
// vendor 0 equal the legacy type of that number.
type Type uint64

// Types that IANA registered and that this module or its peers know.
const (
	TypeNone         Type = 0 // in a Nak: no acceptable type
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3
	TypeMD5          Type = 4
	TypeOTP          Type = 5
	TypeGTC          Type = 6
	TypeTLS          Type = 13
	TypeSIM          Type = 18
	TypeTTLS         Type = 21
	TypeAKA          Type = 23
	TypePEAP         Type = 25
	TypeMSCHAPv2     Type = 26
	TypeMSTLV        Type = 33
	TypeTNC          Type = 38
	TypePT           Type = 54
	TypeExpanded     Type = 254 // only in a Nak: "I also do expanded types"
	TypeExperimental Type = 255
)

// Expanded returns the type of a vendor (a Private Enterprise Number, 24 bits).
func Expanded(vendor, typ uint32) Type {
	return Type(uint64(vendor&0xffffff)<<32 | uint64(typ))
}

// Vendor returns the Private Enterprise Number, 0 for IETF types.
func (t Type) Vendor() uint32 { return uint32(t >> 32) }

// Number returns the type within its vendor's space.
func (t Type) Number() uint32 { return uint32(t) }

// Mutual reports whether the server proves itself within the method, so that
// nothing else has to prove it (RFC 5998 section 4). strongSwan draws the same line.
func (t Type) Mutual() bool {
	switch t {
	case TypeTLS, TypeTTLS, TypePEAP, TypeSIM, TypeAKA:
		return true
	}
	return false
}

// legacy reports whether the type fits the one-octet field.
func (t Type) legacy() bool { return t != TypeExpanded && t <= 255 }

var typeNames = map[Type][2]string{ // long name after "EAP_", short name
	TypeIdentity:     {"IDENTITY", "ID"},
	TypeNotification: {"NOTIFICATION", "NTF"},
	TypeNak:          {"NAK", "NAK"},
	TypeMD5:          {"MD5", "MD5"},
	TypeOTP:          {"OTP", "OTP"},
	TypeGTC:          {"GTC", "GTC"},
	TypeTLS:          {"TLS", "TLS"},
	TypeSIM:          {"SIM", "SIM"},
	TypeTTLS:         {"TTLS", "TTLS"},
	TypeAKA:          {"AKA", "AKA"},
	TypePEAP:         {"PEAP", "PEAP"},
	TypeMSCHAPv2:     {"MSCHAPV2", "MSCHAPV2"},
	TypeMSTLV:        {"MSTLV", "MSTLV"},
	TypeTNC:          {"TNC", "TNC"},
	TypePT:           {"PT_EAP", "PT"},
	TypeExpanded:     {"EXPANDED", "EXP"},
	TypeExperimental: {"EXPERIMENTAL", "XP"},
}

// String returns the name of strongSwan's logs, "EAP_TTLS".
func (t Type) String() string {
	if n, ok := typeNames[t]; ok {
		return "EAP_" + n[0]
	}
	if t.Vendor() != 0 {
		return fmt.Sprintf("vendor specific EAP method %d-%d", t.Number(), t.Vendor())
	}
	return fmt.Sprintf("EAP_(%d)", t.Number())
}

// Short returns the short name of strongSwan's logs, "TTLS".
func (t Type) Short() string {
	if n, ok := typeNames[t]; ok {
		return n[1]
	}
	if t.Vendor() != 0 {
		return fmt.Sprintf("%d-%d", t.Number(), t.Vendor())
	}
	return fmt.Sprintf("(%d)", t.Number())
}

// configNames are the words of swanctl.conf: "auth = eap-ttls".
var configNames = map[string]Type{
	"identity": TypeIdentity, "md5": TypeMD5, "otp": TypeOTP, "gtc": TypeGTC,
	"tls": TypeTLS, "ttls": TypeTTLS, "sim": TypeSIM, "aka": TypeAKA,
	"peap": TypePEAP, "mschapv2": TypeMSCHAPv2, "tnc": TypeTNC, "pt": TypePT,
}

// TypeFromName returns the type that strongSwan's configuration calls name
// ("ttls", "md5", "pt"), in any case.
func TypeFromName(name string) (Type, bool) {
	t, ok := configNames[strings.ToLower(name)]
	return t, ok
}
