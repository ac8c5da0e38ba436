package tnccs

import "fmt"

// IMC is one Integrity Measurement Collector as the client drives it
// (IF-IMC 1.3 §3.8). A call that the collector answered with a result code
// other than SUCCESS returns that code as a Result; any other error means that
// the collector itself is lost (crashed, hung, gone), and the client stops
// using it. Octets handed in are valid during the call only.
//
// Calls for different connections may come concurrently; those for one
// connection come one at a time.
type IMC interface {
	// Initialize starts the collector under the given ID and gives it the
	// functions of its host. Where it fails, Terminate is called all the same.
	Initialize(id uint32, host TNCC) error
	// NotifyConnectionChange tells the state of a connection.
	NotifyConnectionChange(connection uint32, state ConnectionState) error
	// BeginHandshake asks for the first messages of a handshake.
	BeginHandshake(connection uint32) error
	// ReceiveMessage delivers one PA-TNC message.
	ReceiveMessage(connection uint32, m Message) error
	// BatchEnding says that all messages of the batch have been delivered.
	BatchEnding(connection uint32) error
	// Terminate ends the collector and frees what it holds. It is called once.
	Terminate() error
}

// Library is an IMC that is a shared library.
type Library interface {
	// Source returns the path of the library.
	Source() string
	// Interface returns what the library offers, once it is initialized.
	Interface() Interface
}

// Interface is what of IF-IMC a library offers.
type Interface struct {
	Version uint32 // that TNC_IMC_Initialize chose; 1 is IF-IMC 1.0 to 1.3
	Long    bool   // it has TNC_IMC_ReceiveMessageLong, which IF-IMC 1.3 added
}

// Message is a PA-TNC message on its way to an IMC. An IMC without
// TNC_IMC_ReceiveMessageLong gets the short form of it.
type Message struct {
	Exclusive bool   // addressed to one IMC only
	Vendor    uint32 // Private Enterprise Number, 24 bit
	Subtype   uint32
	SourceIMV uint32 // 0xFFFF: not known
	DestIMC   uint32 // 0xFFFF: not addressed
	Data      []byte
}

// TNCC holds the functions that an IMC may call (IF-IMC 1.3 §3.9). They copy
// what they keep, never call back into an IMC, and may be called concurrently.
// *Client implements it.
type TNCC interface {
	ReportMessageTypes(imc uint32, types []uint32) Result
	ReportMessageTypesLong(imc uint32, vendors, subtypes []uint32) Result
	RequestHandshakeRetry(imc, connection, reason uint32) Result
	SendMessage(imc, connection uint32, message []byte, messageType uint32) Result
	SendMessageLong(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result
	// GetAttribute returns the whole value; the border to C checks its buffer.
	GetAttribute(imc, connection, attribute uint32) ([]byte, Result)
	SetAttribute(imc, connection, attribute uint32, value []byte) Result
	ReserveAdditionalIMCID(imc uint32) (uint32, Result)
}

// Result is a TNC_Result (IF-IMC 1.3 §3.5.1). Values other than ResultSuccess
// are errors.
type Result uint32

// Result codes.
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
	ResultCantRetry:              "can't retry",
	ResultWontRetry:              "won't retry",
	ResultInvalidParameter:       "invalid parameter",
	ResultCantRespond:            "can't respond",
	ResultIllegalOperation:       "illegal operation",
	ResultOther:                  "other error",
	ResultFatal:                  "fatal error",
	ResultExceededMaxRoundTrips:  "maximum of round trips exceeded",
	ResultExceededMaxMessageSize: "maximum message size exceeded",
	ResultNoLongMessageTypes:     "no long message types",
	ResultNoSOHSupport:           "no SoH support",
}

func (r Result) String() string {
	if s, ok := resultNames[r]; ok {
		return s
	}
	return fmt.Sprintf("result 0x%08x", uint32(r))
}

// Error makes a Result other than ResultSuccess usable as an error.
func (r Result) Error() string {
	return "TNC result " + fmt.Sprint(uint32(r)) + " (" + r.String() + ")"
}

// ErrorOf returns nil for ResultSuccess, else r.
func ErrorOf(r Result) error {
	if r == ResultSuccess {
		return nil
	}
	return r
}

// ConnectionState is a TNC_ConnectionState (IF-IMC 1.3 §3.5.2).
type ConnectionState uint32

// Connection states.
const (
	StateCreate         ConnectionState = 0
	StateHandshake      ConnectionState = 1
	StateAccessAllowed  ConnectionState = 2
	StateAccessIsolated ConnectionState = 3
	StateAccessNone     ConnectionState = 4
	StateDelete         ConnectionState = 5
)

func (s ConnectionState) String() string {
	switch s {
	case StateCreate:
		return "Create"
	case StateHandshake:
		return "Handshake"
	case StateAccessAllowed:
		return "Allowed"
	case StateAccessIsolated:
		return "Isolated"
	case StateAccessNone:
		return "None"
	case StateDelete:
		return "Delete"
	}
	return fmt.Sprintf("state %d", uint32(s))
}

// Reserved values (IF-IMC 1.3 §3.5).
const (
	ConnectionAny  = 0xFFFFFFFF // TNC_CONNECTIONID_ANY
	IMCAny         = 0xFFFF     // TNC_IMCID_ANY
	IMVAny         = 0xFFFF     // TNC_IMVID_ANY
	VendorAny      = 0xFFFFFF   // TNC_VENDORID_ANY
	SubtypeAny     = 0xFF       // TNC_SUBTYPE_ANY
	FlagsExclusive = 0x80000000 // TNC_MESSAGE_FLAGS_EXCLUSIVE
)

// Attributes that an IMC may ask for (IF-IMC 1.3 §3.8.6.7).
const (
	AttrPreferredLanguage = 0x00000001
	AttrReasonString      = 0x00000002
	AttrReasonLanguage    = 0x00000003
	AttrMaxRoundTrips     = 0x00559700
	AttrMaxMessageSize    = 0x00559701
	AttrDHPN              = 0x00559702
	AttrHasLongTypes      = 0x00559703
	AttrHasExclusive      = 0x00559704
	AttrHasSOH            = 0x00559705
	AttrIFTNCCSProtocol   = 0x0055970A
	AttrIFTNCCSVersion    = 0x0055970B
	AttrIFTProtocol       = 0x0055970C
	AttrIFTVersion        = 0x0055970D
	AttrTLSUnique         = 0x0055970E
	AttrPrimaryIMCID      = 0x00559711
)

// Transport protocols as IFT_PROTOCOL names them.
const (
	TransportEAP = "IF-T for Tunneled EAP" // version "1.1" for EAP-TNC, "2.0" for PT-EAP
	TransportTLS = "IF-T for TLS"          // version "2.0"
)
