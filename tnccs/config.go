package tnccs

import (
	"log/slog"
)

// Config configures a Client. The zero value is usable.
type Config struct {
	// Logger takes the client's log; nil discards.
	Logger *slog.Logger
	// MaxBatchSize lowers the largest batch, in octets; 0 means the transport's.
	MaxBatchSize int
	// MaxMessageSize lowers the largest PA-TNC message, in octets; 0 means what
	// fits a batch.
	MaxMessageSize int
	// MaxMessageSizeXML lowers the largest message over IF-TNCCS 1.1, in octets;
	// 0 means DefaultMaxMessageXML.
	MaxMessageSizeXML int
	// PreferredLanguage is an Accept-Language value (RFC 3282); "" means "en".
	PreferredLanguage string
	// Protocol is what is spoken over EAP-TNC; PT-EAP and PT-TLS carry PB-TNC only.
	Protocol Protocol
	// Mutual makes the TNC server that measures the peer of a connection, where
	// the peer agrees to that (strongSwan's tnccs-20.mutual); nil never proposes it.
	Mutual func(connection uint32) (Server, error)
	// MutualRequired ends a connection whose peer does not agree to that.
	MutualRequired bool
	// Trace is told every PA-TNC message; nil is not. It must not call the client.
	Trace func(Exchange)
	// Tests makes the client break the protocol, for tests of servers.
	Tests Tests
}

// Tests are strongSwan's settings tnccs-20.tests.
type Tests struct {
	NoSkip  bool  // the first batch holds an unknown message that must not be skipped
	Version uint8 // of every batch but CLOSE; 0 means 2
}

// Exchange is one PA-TNC message on its way.
type Exchange struct {
	Connection      uint32
	Sent            bool     // by an IMC; else received
	IMCs            []string // who sent it, or those it was delivered to
	IMC             uint32   // ID of the sender, or who it is addressed to; AnyIMC for all
	IMV             uint32   // who it is addressed to, or the sender's ID; AnyIMV where not known
	Exclusive       bool
	Vendor, Subtype uint32
	Body            []byte // the receiver's to keep
}
