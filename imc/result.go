package imc

import (
	"github.com/gotnc/gotnc/internal/base/ifimc"
)

// Result is a TNC_Result of IF-IMC 1.3. Values other than ResultSuccess are
// errors.
type Result uint32

// Results of IF-IMC 1.3, and TCG's extensions of it.
const (
	ResultSuccess                Result = ifimc.ResultSuccess
	ResultNotInitialized         Result = ifimc.ResultNotInitialized
	ResultAlreadyInitialized     Result = ifimc.ResultAlreadyInitialized
	ResultNoCommonVersion        Result = ifimc.ResultNoCommonVersion
	ResultCantRetry              Result = ifimc.ResultCantRetry
	ResultWontRetry              Result = ifimc.ResultWontRetry
	ResultInvalidParameter       Result = ifimc.ResultInvalidParameter
	ResultCantRespond            Result = ifimc.ResultCantRespond
	ResultIllegalOperation       Result = ifimc.ResultIllegalOperation
	ResultOther                  Result = ifimc.ResultOther
	ResultFatal                  Result = ifimc.ResultFatal
	ResultExceededMaxRoundTrips  Result = ifimc.ResultExceededMaxRoundTrips
	ResultExceededMaxMessageSize Result = ifimc.ResultExceededMaxMessageSize
	ResultNoLongMessageTypes     Result = ifimc.ResultNoLongMessageTypes
	ResultNoSOHSupport           Result = ifimc.ResultNoSOHSupport
)

// String returns the name of the result: "no common version".
func (r Result) String() string { return ifimc.ResultName(uint32(r)) }

// Error makes a Result other than ResultSuccess usable as an error.
func (r Result) Error() string { return "TNC client answered: " + r.String() }

// ConnectionState is a TNC_ConnectionState of IF-IMC 1.3.
type ConnectionState uint32

// States of a connection.
const (
	ConnectionCreate         ConnectionState = ifimc.ConnectionCreate
	ConnectionHandshake      ConnectionState = ifimc.ConnectionHandshake
	ConnectionAccessAllowed  ConnectionState = ifimc.ConnectionAccessAllowed
	ConnectionAccessIsolated ConnectionState = ifimc.ConnectionAccessIsolated
	ConnectionAccessNone     ConnectionState = ifimc.ConnectionAccessNone
	ConnectionDelete         ConnectionState = ifimc.ConnectionDelete
)

// String returns the name of the state as strongSwan logs it: "Handshake".
func (s ConnectionState) String() string { return ifimc.ConnectionName(uint32(s)) }

// RetryReason is a TNC_RetryReason of IF-IMC 1.3.
type RetryReason uint32

// Reasons for a handshake retry that an IMC may give.
const (
	RetryRemediationComplete RetryReason = ifimc.RetryRemediationComplete
	RetrySeriousEvent        RetryReason = ifimc.RetrySeriousEvent
	RetryInformationalEvent  RetryReason = ifimc.RetryInformationalEvent
	RetryPeriodic            RetryReason = ifimc.RetryPeriodic
)

// String returns the name of the reason: "serious event".
func (r RetryReason) String() string { return ifimc.RetryName(uint32(r)) }

// AttributeID is a TNC_AttributeID of IF-IMC 1.3.
type AttributeID uint32

// Attributes that an IMC may ask for.
const (
	AttributePreferredLanguage AttributeID = ifimc.AttributePreferredLanguage
	AttributeMaxRoundTrips     AttributeID = ifimc.AttributeMaxRoundTrips
	AttributeMaxMessageSize    AttributeID = ifimc.AttributeMaxMessageSize
	AttributeDHPN              AttributeID = ifimc.AttributeDHPN
	AttributeHasLongTypes      AttributeID = ifimc.AttributeHasLongTypes
	AttributeHasExclusive      AttributeID = ifimc.AttributeHasExclusive
	AttributeHasSOH            AttributeID = ifimc.AttributeHasSOH
	AttributeIFTNCCSProtocol   AttributeID = ifimc.AttributeIFTNCCSProtocol
	AttributeIFTNCCSVersion    AttributeID = ifimc.AttributeIFTNCCSVersion
	AttributeIFTProtocol       AttributeID = ifimc.AttributeIFTProtocol
	AttributeIFTVersion        AttributeID = ifimc.AttributeIFTVersion
	AttributeTLSUnique         AttributeID = ifimc.AttributeTLSUnique
	AttributePrimaryIMCID      AttributeID = ifimc.AttributePrimaryIMCID
)

// String returns the name of the attribute: "MAX_MESSAGE_SIZE".
func (id AttributeID) String() string { return ifimc.AttributeName(uint32(id)) }

// Version1 is the only version of IF-IMC (TNC_IFIMC_VERSION_1).
const Version1 uint32 = ifimc.Version1

// Reserved values of IF-IMC 1.3: they stand for "any".
const (
	AnyConnection uint32 = ifimc.AnyConnection // TNC_CONNECTIONID_ANY
	AnyIMC        uint32 = ifimc.AnyIMC        // TNC_IMCID_ANY
	AnyIMV        uint32 = ifimc.AnyIMV        // TNC_IMVID_ANY
	AnyVendor     uint32 = ifimc.AnyVendor     // TNC_VENDORID_ANY
	AnySubtype    uint32 = ifimc.AnySubtype    // TNC_SUBTYPE_ANY
)

// FlagExclusive marks a message for one IMC or IMV only
// (TNC_MESSAGE_FLAGS_EXCLUSIVE).
const FlagExclusive uint32 = ifimc.FlagExclusive

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

// String returns the type as strongSwan logs it:
// "'TCG/PTS' 0x005597/0x00000001".
func (t MessageType) String() string { return ifimc.MessageName(t.Vendor, t.Subtype) }
