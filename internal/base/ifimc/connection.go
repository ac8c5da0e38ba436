package ifimc

import "fmt"

// Values of TNC_ConnectionState.
const (
	ConnectionCreate         = 0 // TNC_CONNECTION_STATE_CREATE
	ConnectionHandshake      = 1 // TNC_CONNECTION_STATE_HANDSHAKE
	ConnectionAccessAllowed  = 2 // TNC_CONNECTION_STATE_ACCESS_ALLOWED
	ConnectionAccessIsolated = 3 // TNC_CONNECTION_STATE_ACCESS_ISOLATED
	ConnectionAccessNone     = 4 // TNC_CONNECTION_STATE_ACCESS_NONE
	ConnectionDelete         = 5 // TNC_CONNECTION_STATE_DELETE
)

var connectionNames = [...]string{"Create", "Handshake", "Allowed", "Isolated", "None", "Delete"}

// ConnectionName returns the name of a TNC_ConnectionState as strongSwan logs
// it: "Handshake", or "state 9" for a value that IF-IMC does not define.
func ConnectionName(s uint32) string {
	if uint64(s) < uint64(len(connectionNames)) {
		return connectionNames[s]
	}
	return fmt.Sprintf("state %d", s)
}

// Values of TNC_RetryReason that an IMC may give; 4 to 8 are those of IMVs.
const (
	RetryRemediationComplete = 0 // TNC_RETRY_REASON_IMC_REMEDIATION_COMPLETE
	RetrySeriousEvent        = 1 // TNC_RETRY_REASON_IMC_SERIOUS_EVENT
	RetryInformationalEvent  = 2 // TNC_RETRY_REASON_IMC_INFORMATIONAL_EVENT
	RetryPeriodic            = 3 // TNC_RETRY_REASON_IMC_PERIODIC
)

var retryNames = [...]string{"remediation complete", "serious event", "informational event", "periodic"}

// RetryName returns the name of a TNC_RetryReason: "serious event", or "reason
// 4" for a value that is not an IMC's.
func RetryName(r uint32) string {
	if uint64(r) < uint64(len(retryNames)) {
		return retryNames[r]
	}
	return fmt.Sprintf("reason %d", r)
}
