package tpm20

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

// KeyType is the type of an endorsement key.
type KeyType uint8

// Types of endorsement keys (TCG EK Credential Profile annex B).
const (
	RSA    KeyType = iota // template L-1, RSA 2048
	ECC                   // template L-2, NIST P-256
	ECC384                // template H-3, NIST P-384
)

// KeyTypes lists all types, the most common first.
var KeyTypes = []KeyType{RSA, ECC, ECC384}

// String returns "rsa", "ecc" or "ecc384".
func (k KeyType) String() string {
	switch k {
	case RSA:
		return "rsa"
	case ECC:
		return "ecc"
	case ECC384:
		return "ecc384"
	}
	return fmt.Sprintf("key type %d", uint8(k))
}

// holds reports whether the key is of the type.
func (k KeyType) holds(key crypto.PublicKey) bool {
	switch p := key.(type) {
	case *rsa.PublicKey:
		return k == RSA
	case *ecdsa.PublicKey:
		return k == ECC && p.Params().BitSize == 256 || k == ECC384 && p.Params().BitSize == 384
	}
	return false
}
