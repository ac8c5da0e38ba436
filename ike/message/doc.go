// Package message encodes and decodes IKEv2 messages: the header and every
// payload of RFC 7296 section 3, and the Encrypted Fragment payload of RFC 7383.
//
// Octets in, values out: the package knows no keys and no state. A message
// whose last payload is SK or SKF is decoded up to that payload; ike/crypto
// opens it and decodes what is inside through ParsePayloads. Everything that
// Parse returns is a copy, so the datagram's buffer may be used again.
package message

// Caps on what one message may contain. strongSwan rejects messages over the
// same numbers of vendor IDs, certificate requests and certificates, and those of
// more than 20 notifies: a gateway with many addresses (RFC 4555) sends more.
const (
	MaxPayloads         = 100 // payloads of one message, any type
	MaxNotifies         = 64
	MaxVendorIDs        = 20
	MaxCertRequests     = 20
	MaxCerts            = 8
	MaxEAPs             = 1
	MaxDeletes          = 20
	MaxProposals        = 64   // proposals of one SA payload
	MaxTransforms       = 128  // transforms of one proposal
	MaxAttributes       = 8    // attributes of one transform
	MaxTrafficSelectors = 128  // selectors of one TS payload
	MaxCPAttributes     = 256  // attributes of one CP payload
	MaxSPIs             = 1024 // SPIs of one Delete payload
)
