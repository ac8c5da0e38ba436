package ifimc

import "fmt"

// Values of TNC_Result.
const (
	ResultSuccess                = 0  // TNC_RESULT_SUCCESS
	ResultNotInitialized         = 1  // TNC_RESULT_NOT_INITIALIZED
	ResultAlreadyInitialized     = 2  // TNC_RESULT_ALREADY_INITIALIZED
	ResultNoCommonVersion        = 3  // TNC_RESULT_NO_COMMON_VERSION
	ResultCantRetry              = 4  // TNC_RESULT_CANT_RETRY
	ResultWontRetry              = 5  // TNC_RESULT_WONT_RETRY
	ResultInvalidParameter       = 6  // TNC_RESULT_INVALID_PARAMETER
	ResultCantRespond            = 7  // TNC_RESULT_CANT_RESPOND
	ResultIllegalOperation       = 8  // TNC_RESULT_ILLEGAL_OPERATION
	ResultOther                  = 9  // TNC_RESULT_OTHER
	ResultFatal                  = 10 // TNC_RESULT_FATAL
	ResultExceededMaxRoundTrips  = 0x00559700
	ResultExceededMaxMessageSize = 0x00559701
	ResultNoLongMessageTypes     = 0x00559702
	ResultNoSOHSupport           = 0x00559703
)

var resultNames = map[uint32]string{
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
	ResultExceededMaxRoundTrips:  "maximum number of round trips exceeded",
	ResultExceededMaxMessageSize: "maximum message size exceeded",
	ResultNoLongMessageTypes:     "no long message types",
	ResultNoSOHSupport:           "no SoH support",
}

// ResultName returns the name of a TNC_Result: "no common version", or "result
// 0x0000002a" for a value that IF-IMC does not define.
func ResultName(r uint32) string {
	if s, ok := resultNames[r]; ok {
		return s
	}
	return fmt.Sprintf("result 0x%08x", r)
}
