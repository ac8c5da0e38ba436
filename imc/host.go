package imc

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// Function is a TNC_TNCC_* function that a host may or may not offer.
type Function int

// Functions of a host, in the order in which an IMC binds them.
const (
	FuncReportMessageTypes Function = iota
	FuncReportMessageTypesLong
	FuncRequestHandshakeRetry
	FuncSendMessage
	FuncSendMessageLong
	FuncGetAttribute
	FuncSetAttribute
	FuncReserveAdditionalIMCID
)

var functionNames = [...]string{
	"TNC_TNCC_ReportMessageTypes",
	"TNC_TNCC_ReportMessageTypesLong",
	"TNC_TNCC_RequestHandshakeRetry",
	"TNC_TNCC_SendMessage",
	"TNC_TNCC_SendMessageLong",
	"TNC_TNCC_GetAttribute",
	"TNC_TNCC_SetAttribute",
	"TNC_TNCC_ReserveAdditionalIMCID",
}

// String returns the name to bind.
func (f Function) String() string {
	if f >= 0 && int(f) < len(functionNames) {
		return functionNames[f]
	}
	return "unknown function"
}

// Functions lists all of them in binding order.
func Functions() []Function {
	fs := make([]Function, len(functionNames))
	for i := range fs {
		fs[i] = Function(i)
	}
	return fs
}

// Host is the TNC client as an IMC sees it: the TNC_TNCC_* functions of IF-IMC
// 1.3. The Agent calls a function only where Has reports it, holds no lock while
// it calls, and may be re-entered. Message octets belong to the Agent: a Host
// copies what it keeps.
type Host interface {
	// Has reports whether the host offers f: bound with SUCCESS and not NULL
	// (wpa_supplicant answers SUCCESS with a NULL pointer).
	Has(f Function) bool

	ReportMessageTypes(imcID uint32, types []uint32) Result
	ReportMessageTypesLong(imcID uint32, types []MessageType) Result
	RequestHandshakeRetry(imcID, connectionID uint32, reason RetryReason) Result
	SendMessage(imcID, connectionID uint32, message []byte, messageType uint32) Result
	SendMessageLong(imcID, connectionID, flags uint32, message []byte, messageType MessageType, destinationIMVID uint32) Result
	// GetAttribute returns the value that fits size octets, as the host wrote it.
	GetAttribute(imcID, connectionID uint32, id AttributeID, size int) ([]byte, Result)
	SetAttribute(imcID, connectionID uint32, id AttributeID, value []byte) Result
	// ReserveAdditionalIMCID returns one more ID. The Agent has one message type
	// handler and needs none; it answers under an ID that is asked for.
	ReserveAdditionalIMCID(imcID uint32) (uint32, Result)
}

// UserHost is a Host that can show a text to the user (TNC_9048_UserMessage).
type UserHost interface {
	// UserMessage reports whether the host took the text.
	UserMessage(connectionID uint32, text string) bool
}

// Settings reads values of strongswan.conf with the namespaces already
// resolved: key "plugins.imc-attestation.hash_algorithm" is looked up in the
// section of the program (charon, charon-systemd …), then in libimcv. Values
// that are absent or do not parse give the default.
type Settings interface {
	String(key, def string) string
	Bool(key string, def bool) bool
	Int(key string, def int) int
}

// Platform answers for the operating system that the IMC runs on.
type Platform interface {
	// Attribute returns the value of an IETF or ITA attribute of the platform;
	// an error where it cannot be told.
	Attribute(ctx context.Context, t patnc.Type) (patnc.Value, error)
	// Settings returns those of the named system settings (files below /etc,
	// /proc, /sys or /var) that can be read, in the order asked.
	Settings(ctx context.Context, names []string) []patnc.Setting
}

// Config is what an Agent runs with. The zero value works: it negotiates, and
// answers file requests with errors.
type Config struct {
	Name     string       // in log lines; default "Attestation"
	Logger   *slog.Logger // nil discards
	Settings Settings     // nil: defaults
	Measurer pts.Measurer // nil: files cannot be measured
	Platform Platform     // nil: no operating system attributes
	Rand     io.Reader    // message IDs, keys and nonces; nil: crypto/rand

	// Language is the user's, an RFC 5646 tag; "" is not known. Texts of verifiers
	// are shown in it where there is a choice.
	Language string
	// SiblingLoaded reports whether the IMC of that file name ("imc-os") is loaded
	// in the same host; nil: none is. What another IMC answers is left to it.
	SiblingLoaded func(name string) bool

	TPM       pts.Quoter           // nil: no TPM
	Collector func() pts.Collector // makes a connection's collector of evidence; nil: none
	Wait      pts.WaitFunc         // between attempts at a quote; nil: none

	// Now is time.Now in a program, for what a verifier may ask for in a minute. Nil:
	// these bounds are not in force.
	Now func() time.Time

	// WithTimeout bounds the time of the measurements of one message: it is
	// context.WithTimeout in a program. Nil: no bound. The Agent has no clock.
	WithTimeout func(parent context.Context, d time.Duration) (context.Context, context.CancelFunc)
}
