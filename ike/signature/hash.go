package signature

import (
	gocrypto "crypto"
	_ "crypto/sha1"   // hashes of signatures
	_ "crypto/sha256" //
	_ "crypto/sha512" //
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Hash is a hash algorithm of the IANA registry "IKEv2 Hash Algorithms".
type Hash uint16

// Hash algorithms (RFC 7427 section 4, RFC 8420 section 2).
const (
	SHA1     Hash = 1
	SHA256   Hash = 2
	SHA384   Hash = 3
	SHA512   Hash = 4
	Identity Hash = 5 // the signature scheme hashes by itself
)

var hashNames = map[Hash]string{SHA1: "SHA1", SHA256: "SHA2_256", SHA384: "SHA2_384", SHA512: "SHA2_512", Identity: "IDENTITY"}

// String returns strongSwan's name.
func (h Hash) String() string {
	if n, ok := hashNames[h]; ok {
		return n
	}
	return fmt.Sprintf("HASH_%d", uint16(h))
}

// Func returns the hash function; 0 for Identity and what is not known.
func (h Hash) Func() gocrypto.Hash {
	switch h {
	case SHA1:
		return gocrypto.SHA1
	case SHA256:
		return gocrypto.SHA256
	case SHA384:
		return gocrypto.SHA384
	case SHA512:
		return gocrypto.SHA512
	}
	return 0
}

// digest hashes b; Identity returns it.
func (h Hash) digest(b []byte) []byte {
	f := h.Func()
	if f == 0 {
		return b
	}
	d := f.New()
	d.Write(b)
	return d.Sum(nil)
}

// Announced are the hashes that we verify signatures with. SHA-1 is not among
// them (RFC 8247 section 3.2), as with strongSwan.
var Announced = []Hash{SHA256, SHA384, SHA512, Identity}

// AppendHashes appends the data of N(SIGNATURE_HASH_ALGORITHMS): two octets a
// hash (RFC 7427 section 4).
func AppendHashes(b []byte, hs []Hash) []byte {
	for _, h := range hs {
		b = wire.AppendU16(b, uint16(h))
	}
	return b
}

// ParseHashes reads the data of N(SIGNATURE_HASH_ALGORITHMS). Hashes that are
// not known are left out.
func ParseHashes(b []byte) ([]Hash, error) {
	if len(b)%2 != 0 {
		return nil, fmt.Errorf("SIGNATURE_HASH_ALGORITHMS of %d octets: %w", len(b), wire.ErrLength)
	}
	out := []Hash{}
	for ; len(b) > 0; b = b[2:] {
		h := Hash(binary.BigEndian.Uint16(b))
		if _, ok := hashNames[h]; ok && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out, nil
}

// parseHashName reads swanctl.conf's name of a hash.
func parseHashName(s string) (Hash, bool) {
	switch strings.ToLower(s) {
	case "sha1", "sha":
		return SHA1, true
	case "sha256", "sha2_256":
		return SHA256, true
	case "sha384", "sha2_384":
		return SHA384, true
	case "sha512", "sha2_512":
		return SHA512, true
	case "identity":
		return Identity, true
	}
	return 0, false
}
