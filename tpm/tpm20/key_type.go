package tpm20

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

// KeyType is the type of an endorsement key: one of the TCG's templates.
type KeyType uint8

// Types of endorsement keys (TCG EK Credential Profile annex B.3 and B.4). Those of
// the high range have templates of their own even where the low range has a key of
// the same size.
const (
	RSA     KeyType = iota // template L-1, RSA 2048
	ECC                    // template L-2, NIST P-256
	ECC384                 // template H-3, NIST P-384
	RSAH1                  // template H-1, RSA 2048
	ECCH2                  // template H-2, NIST P-256
	ECC521                 // template H-4, NIST P-521
	RSA3072                // template H-6, RSA 3072
	RSA4096                // template H-7, RSA 4096
)

// KeyTypes lists all types, the most common first.
var KeyTypes = []KeyType{RSA, ECC, ECC384, RSAH1, ECCH2, ECC521, RSA3072, RSA4096}

// keyTypes has what the types are.
var keyTypes = map[KeyType]struct {
	name string
	rsa  bool
	bits int
}{
	RSA: {"rsa", true, 2048}, ECC: {"ecc", false, 256}, ECC384: {"ecc384", false, 384}, RSAH1: {"rsa-h1", true, 2048},
	ECCH2: {"ecc-h2", false, 256}, ECC521: {"ecc521", false, 521}, RSA3072: {"rsa3072", true, 3072}, RSA4096: {"rsa4096", true, 4096},
}

// String returns "rsa", "ecc", "ecc384", "rsa-h1", "ecc-h2", "ecc521", "rsa3072" or
// "rsa4096".
func (k KeyType) String() string {
	if t, ok := keyTypes[k]; ok {
		return t.name
	}
	return fmt.Sprintf("key type %d", uint8(k))
}

// ParseKeyType returns the type of that name.
func ParseKeyType(name string) (KeyType, error) {
	for _, k := range KeyTypes {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown type of endorsement key %q", name)
}

// holds reports whether the key is of the type.
func (k KeyType) holds(key crypto.PublicKey) bool {
	t := keyTypes[k]
	switch p := key.(type) {
	case *rsa.PublicKey:
		return t.rsa && p.N.BitLen() == t.bits
	case *ecdsa.PublicKey:
		return !t.rsa && p.Params().BitSize == t.bits
	}
	return false
}

// TypesOf returns the types that a key may have: two where both ranges have one of
// its size.
func TypesOf(key crypto.PublicKey) (types []KeyType) {
	for _, k := range KeyTypes {
		if k.holds(key) {
			types = append(types, k)
		}
	}
	return types
}
