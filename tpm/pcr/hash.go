package pcr

import (
	"crypto"
	"fmt"
)

// Hash is a TPM_ALG_ID that names a hash algorithm (TPM Library Part 2 section
// 6.3): what tells the PCR banks of a TPM apart.
type Hash uint16

// Hash algorithms of PCR banks, weakest first.
const (
	SHA1   Hash = 0x0004
	SHA256 Hash = 0x000b
	SHA384 Hash = 0x000c
	SHA512 Hash = 0x000d
)

// Hashes lists the hash algorithms that this package knows, weakest first.
var Hashes = [...]Hash{SHA1, SHA256, SHA384, SHA512}

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
