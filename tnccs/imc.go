package tnccs

// IMC is one Integrity Measurement Collector as the client drives it
// (IF-IMC 1.3 section 3.8). A call that the collector answered with a result code
// other than SUCCESS returns that code as a Result; any other error means that
// the collector is lost (it crashed, hangs or has ended), and the client stops
// using it. Octets that are passed in are valid during the call only.
//
// Calls for different connections may come concurrently; those for one
// connection come one at a time.
type IMC interface {
	// Initialize starts the collector with the given ID and the functions of its
	// host. If it fails, Terminate is called all the same.
	Initialize(id uint32, host TNCC) error
	// NotifyConnectionChange reports the new state of a connection.
	NotifyConnectionChange(connection uint32, state ConnectionState) error
	// BeginHandshake asks for the first messages of a handshake.
	BeginHandshake(connection uint32) error
	// ReceiveMessage delivers one PA-TNC message.
	ReceiveMessage(connection uint32, m Message) error
	// BatchEnding reports that all messages of the batch have been delivered.
	BatchEnding(connection uint32) error
	// Terminate ends the collector and frees its resources. It is called once.
	Terminate() error
}

// Library is an IMC that is a shared library.
type Library interface {
	// Source returns the path of the library.
	Source() string
	// Interface describes the library, once it is initialized.
	Interface() Interface
}

// Interface describes the parts of IF-IMC that a library implements.
type Interface struct {
	Version uint32 // chosen by TNC_IMC_Initialize; 1 is IF-IMC 1.0 to 1.3
	Long    bool   // the library has TNC_IMC_ReceiveMessageLong, which IF-IMC 1.3 added
}

// Message is a PA-TNC message for an IMC. An IMC without
// TNC_IMC_ReceiveMessageLong gets its short form.
type Message struct {
	Exclusive bool   // addressed to one IMC only
	Vendor    uint32 // Private Enterprise Number, 24 bit
	Subtype   uint32
	SourceIMV uint32 // AnyIMV: not known
	DestIMC   uint32 // AnyIMC: not addressed
	Data      []byte
}

// TNCC holds the functions that an IMC may call (the TNC_TNCC_* functions of IF-IMC 1.3). They copy
// octets that they keep, never call back into an IMC, and may be called
// concurrently. *Client implements it.
type TNCC interface {
	ReportMessageTypes(imc uint32, types []uint32) Result
	ReportMessageTypesLong(imc uint32, vendors, subtypes []uint32) Result
	RequestHandshakeRetry(imc, connection uint32, reason RetryReason) Result
	SendMessage(imc, connection uint32, message []byte, messageType uint32) Result
	SendMessageLong(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result
	// GetAttribute returns the whole value of an attribute.
	GetAttribute(imc, connection uint32, id AttributeID) ([]byte, Result)
	SetAttribute(imc, connection uint32, id AttributeID, value []byte) Result
	ReserveAdditionalIMCID(imc uint32) (uint32, Result)
}
