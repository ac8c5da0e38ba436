// Package attest has the vocabulary in which TPMs of both generations are asked
// to attest and answer: keys, requests for quotes, and quotes in the parts that
// PTS attributes carry (TCG PTS Protocol Binding to TNC IF-M sections 3.18 and
// 4.2, and strongSwan's extension of it for TPM 2.0).
package attest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Causes; errors of packages tpm12 and tpm20 wrap one of them where it applies.
var (
	ErrNoBank   = errors.New("the TPM has no such PCR bank")
	ErrExternal = errors.New("bad length of external data")
	// ErrNoKey is the cause where the TPM has no key of the AIK, or the key
	// cannot sign quotes.
	ErrNoKey = errors.New("no AIK")
	// ErrKeyUnset is the ErrNoKey of an AIK that names no key.
	ErrKeyUnset = fmt.Errorf("%w: none is configured", ErrNoKey)
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

// QuoteKind says which structure a quote signs; its value is that of the flags
// of Simple Evidence Final (TCG PTS Protocol Binding section 3.18).
type QuoteKind uint8

// Kinds of quotes.
const (
	NoQuote           QuoteKind = 0x00
	QuoteInfo         QuoteKind = 0x40 // TPM 1.2 TPM_Quote: TPM_QUOTE_INFO
	QuoteInfo2        QuoteKind = 0x80 // TPM 1.2 TPM_Quote2: TPM_QUOTE_INFO2
	QuoteInfo2Version QuoteKind = 0xC0 // TPM 1.2 TPM_Quote2: TPM_QUOTE_INFO2 and TPM_CAP_VERSION_INFO
	QuoteTPM20        QuoteKind = 0x10 // TPM 2.0 TPM2_Quote: TPMS_ATTEST (strongSwan's extension)
)

// String names the signed structure as the specification does.
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

// AIK says where an Attestation Identity Key and its certificate are; the
// fields are strongSwan's settings aik_handle, aik_blob, aik_cert and
// aik_pubkey, with the content of the files.
type AIK struct {
	// Handle is the persistent handle of the key in a TPM 2.0, 0x81xxxxxx. In a
	// TPM 1.2 it is the handle of a loaded key, used where Blob is empty.
	Handle uint32
	// Blob is the key as TPM_KEY or TPM_KEY12, encrypted by the storage root
	// key of the TPM 1.2 that made it.
	Blob []byte
	// Certificate is the AIK certificate, X.509 in DER or PEM; nil for none.
	Certificate []byte
	// PublicKey is the SubjectPublicKeyInfo in DER or PEM. It is used without a
	// certificate, where neither the TPM (2.0) nor Blob (1.2) tells the key.
	PublicKey []byte
}

// QuoteRequest says what a quote has to cover.
type QuoteRequest struct {
	AIK      AIK
	PCRs     pcr.Selection // at least one
	Bank     pcr.Hash      // PCR bank; a TPM 1.2 has only SHA1
	External []byte        // external data, qualifyingData: exactly 20 octets for a TPM 1.2
	Kind     QuoteKind     // of a TPM 1.2; 0 means QuoteInfo2. A TPM 2.0 ignores it
}

// Quote is a quote in the parts that Simple Evidence Final carries. All slices
// belong to the caller.
type Quote struct {
	Kind      QuoteKind
	Hash      pcr.Hash // composite hash algorithm: SHA1 for 1.2, the hash of the signing scheme for 2.0
	Composite []byte   // PCR composite digest
	Signature []byte   // RSA: the raw signature; ECDSA: r and s, each as long as the curve's order

	// The next four are set for a TPM 2.0 only.
	QualifiedSigner []byte // TPM2B_NAME without its length
	ClockInfo       []byte // TPMS_CLOCK_INFO, 17 octets
	FirmwareVersion []byte // 8 octets
	PCRSelection    []byte // TPML_PCR_SELECTION, 10 octets

	// Info is the whole structure that the signature covers.
	Info []byte
	// Values are the PCRs that the quote covers, each as long as the bank's
	// digest; they hash to Composite. nil where the PCRs changed each time they
	// were read around the quote.
	Values pcr.Values
	// Where Values is nil, Stable are the PCRs that had one value before and after
	// the quote, and Covers reports whether values of all PCRs hash to Composite.
	Stable pcr.Values
	Covers func(pcr.Values) bool
}

// Unsettled notes what a quote covers whose PCRs changed around it, as they were
// before and after.
func (q *Quote) Unsettled(before, after pcr.Values, composite func(pcr.Values) []byte) {
	q.Stable = pcr.Values{}
	for i, v := range before {
		if bytes.Equal(v, after[i]) {
			q.Stable[i] = v
		}
	}
	q.Covers = func(v pcr.Values) bool { return bytes.Equal(composite(v), q.Composite) }
}

// Info describes a TPM, for logs and for people.
type Info struct {
	Generation   Generation
	Manufacturer string // four letters, "IBM "
	Vendor       string // vendor string, "SW   TPM"; empty for 1.2
	Revision     string // "1.38" of the 2.0 library; "1.2 level 2 errata 3"
	Firmware     string // firmware version
}
