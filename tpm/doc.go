// Package tpm speaks to Trusted Platform Modules of both generations through
// one interface: version information, PCR banks and values, the Attestation
// Identity Key and quotes, in the forms that PTS attributes carry
// (TCG PTS Protocol Binding to TNC IF-M §4.2, §3.18 and strongSwan's extension
// of it for TPM 2.0).
//
// A TPM is reached through a Transport, which carries one command and its
// reply. Package tpm/device has the transports to character devices and
// emulators; package tpm/tpmtest has fakes and recorded ones.
//
// TPM 2.0 commands go through github.com/google/go-tpm. TPM 1.2 commands are
// this package's own: strongSwan's verifier wants quotes over exactly the
// octets that TPM Main Part 3 describes.
package tpm
