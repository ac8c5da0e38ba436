package imc

import "fmt"

// Result is a TNC_Result (IF-IMC 1.3 section 3.4.2.7).
type Result uint32

// Result codes of IF-IMC 1.3, and TCG's extensions of it.
const (
	ResultSuccess                Result = 0
	ResultNotInitialized         Result = 1
	ResultAlreadyInitialized     Result = 2
	ResultNoCommonVersion        Result = 3
	ResultCantRetry              Result = 4
	ResultWontRetry              Result = 5
	ResultInvalidParameter       Result = 6
	ResultCantRespond            Result = 7
	ResultIllegalOperation       Result = 8
	ResultOther                  Result = 9
	ResultFatal                  Result = 10
	ResultExceededMaxRoundTrips  Result = 0x00559700
	ResultExceededMaxMessageSize Result = 0x00559701
	ResultNoLongMessageTypes     Result = 0x00559702
	ResultNoSOHSupport           Result = 0x00559703
)

var resultNames = map[Result]string{
	ResultSuccess:                "success",
	ResultNotInitialized:         "not initialized",
	ResultAlreadyInitialized:     "already initialized",
	ResultNoCommonVersion:        "no common version",
	ResultCantRetry:              "cannot retry",
	ResultWontRetry:              "will not retry",
	ResultInvalidParameter:       "invalid parameter",
	ResultCantRespond:            "cannot respond",
	ResultIllegalOperation:       "illegal operation",
	ResultOther:                  "other error",
	ResultFatal:                  "fatal error",
	ResultExceededMaxRoundTrips:  "exceeded maximum round trips",
	ResultExceededMaxMessageSize: "exceeded maximum message size",
	ResultNoLongMessageTypes:     "no long message types",
	ResultNoSOHSupport:           "no SOH support",
}

func (r Result) String() string {
	if s, ok := resultNames[r]; ok {
		return s
	}
	return fmt.Sprintf("result 0x%08x", uint32(r))
}

// Error makes a Result other than ResultSuccess usable as an error.
func (r Result) Error() string { return "TNC client answered: " + r.String() }

// ConnectionState is a TNC_ConnectionState (IF-IMC 1.3 section 3.4.2.4).
type ConnectionState uint32

// Connection states.
const (
	ConnectionCreate         ConnectionState = 0
	ConnectionHandshake      ConnectionState = 1
	ConnectionAccessAllowed  ConnectionState = 2
	ConnectionAccessIsolated ConnectionState = 3
	ConnectionAccessNone     ConnectionState = 4
	ConnectionDelete         ConnectionState = 5
)

func (s ConnectionState) String() string {
	names := [...]string{"Create", "Handshake", "Allowed", "Isolated", "None", "Delete"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint32(s))
}

// RetryReason is a TNC_RetryReason (IF-IMC 1.3 section 3.4.2.6).
type RetryReason uint32

// Reasons that an IMC may give.
const (
	RetryRemediationComplete RetryReason = 0
	RetrySeriousEvent        RetryReason = 1
	RetryInformationalEvent  RetryReason = 2
	RetryPeriodic            RetryReason = 3
)

// AttributeID is a TNC_AttributeID (IF-IMC 1.3 section 3.4.2.8).
type AttributeID uint32

// Attributes that an IMC reads.
const (
	AttributePreferredLanguage AttributeID = 0x00000001
	AttributeMaxRoundTrips     AttributeID = 0x00559700
	AttributeMaxMessageSize    AttributeID = 0x00559701
	AttributeDHPN              AttributeID = 0x00559702
	AttributeHasLongTypes      AttributeID = 0x00559703
	AttributeHasExclusive      AttributeID = 0x00559704
	AttributeHasSOH            AttributeID = 0x00559705
	AttributeIFTNCCSProtocol   AttributeID = 0x0055970A
	AttributeIFTNCCSVersion    AttributeID = 0x0055970B
	AttributeIFTProtocol       AttributeID = 0x0055970C
	AttributeIFTVersion        AttributeID = 0x0055970D
	AttributeTLSUnique         AttributeID = 0x0055970E
	AttributePrimaryIMCID      AttributeID = 0x00559711
)

// Wildcards and limits of IF-IMC 1.3.
const (
	Version1 uint32 = 1 // the only version of IF-IMC

	AnyConnection uint32 = 0xFFFFFFFF // TNC_CONNECTIONID_ANY

	AnyIMC uint32 = 0xFFFF
	AnyIMV uint32 = 0xFFFF

	FlagExclusive uint32 = 0x80000000 // TNC_MESSAGE_FLAGS_EXCLUSIVE
)

// MessageType is a PA message type in its long form.
type MessageType struct {
	Vendor  uint32 // Private Enterprise Number, 24 bits
	Subtype uint32
}

// Message types of this IMC.
var (
	TypePTS             = MessageType{Vendor: 0x005597, Subtype: 1}
	TypeOperatingSystem = MessageType{Vendor: 0x000000, Subtype: 1}
	TypeFirewall        = MessageType{Vendor: 0x000000, Subtype: 5}
)

// Short returns the 32-bit form vendor<<8 | subtype; ok is false where the
// subtype does not fit its eight bits.
func (t MessageType) Short() (short uint32, ok bool) {
	return t.Vendor<<8 | t.Subtype&0xFF, t.Vendor <= 0xFFFFFF && t.Subtype <= 0xFF
}

// Reserved reports whether no message can have the type: its vendor or subtype
// stands for any.
func (t MessageType) Reserved() bool { return t.Vendor >= 0xFFFFFF || t.Subtype == 0xFF }

// TypeOfShort is the reverse of Short.
func TypeOfShort(short uint32) MessageType {
	return MessageType{Vendor: short >> 8, Subtype: short & 0xFF}
}

func (t MessageType) String() string {
	name := "unknown"
	switch t {
	case TypePTS:
		name = "TCG/PTS"
	case TypeOperatingSystem:
		name = "IETF/Operating System"
	case TypeFirewall:
		name = "IETF/Firewall"
	}
	return fmt.Sprintf("'%s' 0x%06x/0x%08x", name, t.Vendor, t.Subtype)
}
