package tnccs

import (
	"fmt"

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
func (r Result) Error() string {
	return fmt.Sprintf("TNC result %d (%s)", uint32(r), r.String())
}

// ErrorOf returns nil for ResultSuccess, else r.
func ErrorOf(r Result) error {
	if r == ResultSuccess {
		return nil
	}
	return r
}

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

// Transport protocols as attribute IFT_PROTOCOL names them.
const (
	TransportEAP = ifimc.TransportEAP // version "1.1" for EAP-TNC, "2.0" for PT-EAP
	TransportTLS = ifimc.TransportTLS // version "2.0"
)
