// Package gotnc holds what the codecs of this module share with their users:
// the error that says where a message could not be decoded, and its causes.
//
// The module proves to a gateway what a machine booted, what it runs and who it
// is (Trusted Network Connect). Where to go from here:
//
//	github.com/gotnc/gotnc/ike            an IKEv2 initiator (RFC 7296)
//	github.com/gotnc/gotnc/ike/transport        sockets and the loop that drives it
//	github.com/gotnc/gotnc/ike/eap        EAP methods: EAP-TTLS, EAP-TNC and others
//	github.com/gotnc/gotnc/ike/dataplane  where the packets of a tunnel go
//	github.com/gotnc/gotnc/tnccs          a TNC client (PB-TNC, RFC 5793; IF-TNCCS 1.1)
//	github.com/gotnc/gotnc/tnccs/dlimc    Integrity Measurement Collectors in shared libraries
//	github.com/gotnc/gotnc/tnccs/pttls    the transport PT-TLS (RFC 6876)
//	github.com/gotnc/gotnc/imc            the Attestation IMC as a library
//	github.com/gotnc/gotnc/imc/patnc      PA-TNC messages and attributes (RFC 5792)
//	github.com/gotnc/gotnc/tpm            TPM 1.2 and 2.0: attestation keys and quotes
//
// ARCHITECTURE.md draws how they stand on each other.
package gotnc
