package tpm

import (
	"context"
	"fmt"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Generation is the major version of the TPM library specification that a TPM
// follows.
type Generation uint8

// The two generations.
const (
	TPM12 Generation = 1 // TPM Main Specification 1.2
	TPM20 Generation = 2 // TPM Library Specification 2.0
)

// String returns "1.2" or "2.0".
func (g Generation) String() string {
	switch g {
	case TPM12:
		return "1.2"
	case TPM20:
		return "2.0"
	}
	return fmt.Sprintf("generation %d", uint8(g))
}

// QuoteKind is what a quote signs; its value is that of the flags of Simple
// Evidence Final (TCG PTS Protocol Binding §3.18).
type QuoteKind uint8

// Kinds of quotes.
const (
	NoQuote           QuoteKind = 0x00
	QuoteInfo         QuoteKind = 0x40 // TPM 1.2 TPM_Quote: TPM_QUOTE_INFO
	QuoteInfo2        QuoteKind = 0x80 // TPM 1.2 TPM_Quote2: TPM_QUOTE_INFO2
	QuoteInfo2Version QuoteKind = 0xC0 // TPM 1.2 TPM_Quote2: TPM_QUOTE_INFO2 and TPM_CAP_VERSION_INFO
	QuoteTPM20        QuoteKind = 0x10 // TPM 2.0 TPM2_Quote: TPMS_ATTEST (strongSwan's extension)
)

// String names the kind as the specification names the structure signed.
func (k QuoteKind) String() string {
	switch k {
	case NoQuote:
		return "no TPM Quote Info"
	case QuoteInfo:
		return "TPM_QUOTE_INFO"
	case QuoteInfo2:
		return "TPM_QUOTE_INFO2"
	case QuoteInfo2Version:
		return "TPM_QUOTE_INFO2 with TPM_CAP_VERSION_INFO"
	case QuoteTPM20:
		return "TPMS_ATTEST"
	}
	return fmt.Sprintf("quote kind 0x%02x", uint8(k))
}

// Kind12 returns the kind of quote that the settings use_quote2 and
// use_version_info of strongSwan's Attestation IMC ask of a TPM 1.2. A TPM 2.0
// ignores it.
func Kind12(useQuote2, useVersionInfo bool) QuoteKind {
	switch {
	case !useQuote2:
		return QuoteInfo
	case useVersionInfo:
		return QuoteInfo2Version
	}
	return QuoteInfo2
}

// AIK says where an Attestation Identity Key and its certificate are; the
// fields are strongSwan's settings aik_handle, aik_blob, aik_cert and
// aik_pubkey, the files already read.
type AIK struct {
	// Handle is the persistent handle of the key in a TPM 2.0, 0x81xxxxxx. In a
	// TPM 1.2 it is the handle of a loaded key, used where there is no Blob.
	Handle uint32
	// Blob is the key as TPM_KEY or TPM_KEY12, under the storage root key of
	// the TPM 1.2 that made it.
	Blob []byte
	// Certificate is the AIK certificate, X.509 in DER or PEM; nil for none.
	Certificate []byte
	// PublicKey is the SubjectPublicKeyInfo in DER or PEM; used where there is
	// no certificate. A TPM 2.0 knows it by itself, a Blob holds it too.
	PublicKey []byte
}

// Identity is what the AIK attribute carries.
type Identity struct {
	DER   []byte // X.509 certificate, or SubjectPublicKeyInfo where Naked
	Naked bool   // no certificate
	KeyID [20]byte
	// KeyID is the SHA-1 of the SubjectPublicKeyInfo: the Device ID by which
	// strongSwan's verifier knows the machine.
}

// QuoteRequest is what a quote is to cover.
type QuoteRequest struct {
	AIK      AIK
	PCRs     pcr.Selection // at least one
	Bank     pcr.Hash      // PCR bank; a TPM 1.2 has only SHA1
	External []byte        // external data, qualifyingData: exactly 20 octets for a TPM 1.2
	Kind     QuoteKind     // of a TPM 1.2: see Kind12; 0 asks for QuoteInfo2. A TPM 2.0 ignores it
}

// Quote is a quote in the parts that Simple Evidence Final carries. All slices
// belong to the caller.
type Quote struct {
	Kind      QuoteKind
	Hash      pcr.Hash // composite hash algorithm: SHA1 for 1.2, the hash of the signing scheme for 2.0
	Composite []byte   // PCR composite digest
	Signature []byte   // RSA: the raw signature; ECDSA: r and s as the TPM returned them

	// The next four are of a TPM 2.0's quote only.
	QualifiedSigner []byte // TPM2B_NAME without its length
	ClockInfo       []byte // TPMS_CLOCK_INFO, 17 octets
	FirmwareVersion []byte // 8 octets
	PCRSelection    []byte // TPML_PCR_SELECTION, 10 octets

	// Info is the structure that the signature covers, whole.
	Info []byte
	// Values are the PCRs that the quote covers, by index, each as long as the
	// bank's digest; they were read around the quote and hash to Composite.
	Values pcr.Values
}

// Info describes a TPM, for logs and for people.
type Info struct {
	Generation   Generation
	Manufacturer string // four letters, "IBM "
	Vendor       string // vendor string, "SW   TPM"; empty for 1.2
	Revision     string // "1.38" of the 2.0 library; "1.2 level 2 errata 3"
	Firmware     string // firmware version
}

// TPM is one TPM of either generation. Its methods may be called from several
// goroutines; they run one after the other, each bounded by its context and by
// the transport's own time limit.
type TPM interface {
	// Generation returns which commands the TPM understands.
	Generation() Generation
	// Info describes the TPM.
	Info(ctx context.Context) (Info, error)
	// VersionInfo returns the octets of the TPM Version Information attribute:
	// TPM_CAP_VERSION_INFO of a TPM 1.2, strongSwan's 16-octet form of a 2.0.
	VersionInfo(ctx context.Context) ([]byte, error)
	// Banks returns the hash algorithms that have a PCR bank with all of PCR 0
	// to 23, weakest first. A TPM 1.2 has SHA1.
	Banks(ctx context.Context) ([]pcr.Hash, error)
	// ReadPCRs returns values of one bank by PCR index. ErrNoBank where the
	// TPM has no such bank.
	ReadPCRs(ctx context.Context, bank pcr.Hash, pcrs pcr.Selection) (pcr.Values, error)
	// Identity returns what the AIK attribute carries: the certificate where
	// there is one, else the public key.
	Identity(ctx context.Context, aik AIK) (Identity, error)
	// Quote signs PCRs and external data with the AIK.
	Quote(ctx context.Context, req QuoteRequest) (*Quote, error)
	// Close gives the transport back. Closing again does nothing.
	Close() error
}

// Transport carries one command to a TPM and returns its whole reply. It is
// used by one goroutine at a time. A context that ends during an exchange
// leaves the TPM busy: the transport is then of no more use and every further
// exchange fails with ErrGone.
type Transport interface {
	Exchange(ctx context.Context, command []byte) (reply []byte, err error)
	Close() error
}
