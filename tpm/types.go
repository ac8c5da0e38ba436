package tpm

import (
	"context"
	"crypto"
	_ "crypto/sha1" // the hashes of PCR banks
	_ "crypto/sha256"
	_ "crypto/sha512"
	"fmt"
	"math/bits"
	"strings"
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

// Hash is a TPM_ALG_ID that names a hash algorithm (TPM Library Part 2 §6.3).
type Hash uint16

// Hashes of PCR banks.
const (
	SHA1   Hash = 0x0004
	SHA256 Hash = 0x000b
	SHA384 Hash = 0x000c
	SHA512 Hash = 0x000d
)

// String returns strongSwan's name, "HASH_SHA2_256".
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "HASH_SHA1"
	case SHA256:
		return "HASH_SHA2_256"
	case SHA384:
		return "HASH_SHA2_384"
	case SHA512:
		return "HASH_SHA2_512"
	}
	return fmt.Sprintf("TPM_ALG 0x%04x", uint16(h))
}

// Crypto returns the hash function, 0 for an unknown algorithm.
func (h Hash) Crypto() crypto.Hash {
	switch h {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// Size returns the octets of a digest, 0 for an unknown algorithm.
func (h Hash) Size() int {
	if c := h.Crypto(); c != 0 {
		return c.Size()
	}
	return 0
}

// Sum returns the digest of the concatenated parts, nil for an unknown
// algorithm.
func (h Hash) Sum(parts ...[]byte) []byte {
	c := h.Crypto()
	if c == 0 {
		return nil
	}
	d := c.New()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// NumPCRs is the number of PCRs that a selection can name: what every PC
// client TPM has.
const NumPCRs = 24

// Selection is a set of PCRs: bit i stands for PCR i, i < NumPCRs.
type Selection uint32

// Select returns the set of the given PCRs. Those out of range are an error of
// the caller's and dropped; check with ValidPCR where they come from outside.
func Select(pcrs ...int) Selection {
	var s Selection
	for _, i := range pcrs {
		if ValidPCR(i) {
			s |= 1 << i
		}
	}
	return s
}

// ValidPCR reports whether a selection can name PCR i.
func ValidPCR(i int) bool { return i >= 0 && i < NumPCRs }

// Has reports whether PCR i is in the set.
func (s Selection) Has(i int) bool { return ValidPCR(i) && s&(1<<i) != 0 }

// Len returns the number of PCRs in the set.
func (s Selection) Len() int { return bits.OnesCount32(uint32(s & (1<<NumPCRs - 1))) }

// PCRs returns the PCRs in ascending order.
func (s Selection) PCRs() []int {
	out := make([]int, 0, s.Len())
	for i := range NumPCRs {
		if s.Has(i) {
			out = append(out, i)
		}
	}
	return out
}

// Bitmap returns the three octets of TPM_PCR_SELECTION and
// TPMS_PCR_SELECTION: PCR i is octet i/8, bit i mod 8.
func (s Selection) Bitmap() [3]byte { return [3]byte{byte(s), byte(s >> 8), byte(s >> 16)} }

// String returns the PCRs as "0,1,2,10".
func (s Selection) String() string {
	var b strings.Builder
	for n, i := range s.PCRs() {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, i)
	}
	return b.String()
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
	PCRs     Selection // at least one
	Bank     Hash      // PCR bank; a TPM 1.2 has only SHA1
	External []byte    // external data, qualifyingData: exactly 20 octets for a TPM 1.2
	Kind     QuoteKind // of a TPM 1.2: see Kind12; 0 asks for QuoteInfo2. A TPM 2.0 ignores it
}

// Quote is a quote in the parts that Simple Evidence Final carries. All slices
// belong to the caller.
type Quote struct {
	Kind      QuoteKind
	Hash      Hash   // composite hash algorithm: SHA1 for 1.2, the hash of the signing scheme for 2.0
	Composite []byte // PCR composite digest
	Signature []byte // RSA: the raw signature; ECDSA: r and s as the TPM returned them

	// The next four are of a TPM 2.0's quote only.
	QualifiedSigner []byte // TPM2B_NAME without its length
	ClockInfo       []byte // TPMS_CLOCK_INFO, 17 octets
	FirmwareVersion []byte // 8 octets
	PCRSelection    []byte // TPML_PCR_SELECTION, 10 octets

	// Info is the structure that the signature covers, whole.
	Info []byte
	// Values are the PCRs that the quote covers, by index, each as long as the
	// bank's digest; they were read around the quote and hash to Composite.
	Values map[int][]byte
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
	Banks(ctx context.Context) ([]Hash, error)
	// ReadPCRs returns values of one bank by PCR index. ErrNoBank where the
	// TPM has no such bank.
	ReadPCRs(ctx context.Context, bank Hash, pcrs Selection) (map[int][]byte, error)
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
