package tnccs

import "log/slog"

// Config configures a Client. The zero value is usable.
type Config struct {
	// Logger gets the log of the client; nil discards.
	Logger *slog.Logger
	// MaxBatchSize lowers the largest batch, in octets; 0 means the transport's.
	MaxBatchSize int
	// MaxMessageSize lowers the largest PA-TNC message, in octets; 0 means the
	// largest one that fits a batch.
	MaxMessageSize int
	// MaxMessageSizeXML lowers the largest message over IF-TNCCS 1.1, in octets;
	// 0 means DefaultMaxMessageXML.
	MaxMessageSizeXML int
	// PreferredLanguage is an Accept-Language value (RFC 3282); "" means "en".
	PreferredLanguage string
	// Protocol is the binding of IF-TNCCS over EAP-TNC. ProtocolXML counts over
	// PT-EAP too, as in strongSwan; PT-TLS carries PB-TNC only.
	Protocol Protocol
	// Mutual returns the TNC server that measures the peer of a connection, if the
	// peer agrees to mutual measurement (strongSwan's tnccs-20.mutual); nil never
	// proposes it. A *server.Session of package tnccs/server implements Server.
	Mutual func(connection uint32) (Server, error)
	// MutualRequired ends a connection whose peer does not agree to be measured.
	MutualRequired bool
	// Trace, unless nil, is called with every PA-TNC message. It must not call the
	// client.
	Trace func(Exchange)
	// Tests makes the client break the protocol, for tests of servers.
	Tests Tests
}

// Tests holds strongSwan's settings tnccs-20.tests.
type Tests struct {
	NoSkip  bool  // the first batch holds an unknown message that must not be skipped
	Version uint8 // of every batch but CLOSE; 0 means 2
}

// Exchange describes one PA-TNC message that was sent or received.
type Exchange struct {
	Connection      uint32
	Sent            bool     // by an IMC; else received
	IMCs            []string // names of the IMC that sent it, or of those that received it
	IMC             uint32   // ID of the IMC that sent it, or of the addressed one; AnyIMC for all
	IMV             uint32   // ID of the addressed IMV, or of the sender; AnyIMV if not known
	Exclusive       bool
	Vendor, Subtype uint32
	Body            []byte // a copy, which the receiver may keep
}
