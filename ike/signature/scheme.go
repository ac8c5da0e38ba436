// Package signature makes and verifies the AUTH payloads of public keys: RSA
// (RFC 7296 section 3.8), ECDSA (RFC 4754), and both, RSASSA-PSS and Ed25519 with
// AlgorithmIdentifiers (RFC 7427, RFC 8420).
package signature

import (
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
)

// Key is a kind of key.
type Key uint8

// Kinds of keys.
const (
	AnyKey Key = iota
	RSA
	ECDSA
	Ed25519
)

func (k Key) String() string { return [...]string{"pubkey", "RSA", "ECDSA", "ED25519"}[k] }

// KeyOf returns the kind of a public key and its size in bits; AnyKey where no
// scheme fits it.
func KeyOf(pub gocrypto.PublicKey) (Key, int) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return RSA, k.N.BitLen()
	case *ecdsa.PublicKey:
		return ECDSA, k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return Ed25519, 8 * ed25519.PublicKeySize
	}
	return AnyKey, 0
}

// Scheme is a way of signing.
type Scheme struct {
	Key  Key
	PSS  bool // RSASSA-PSS; else PKCS #1 v1.5
	Hash Hash // 0 in constraints: any
}

// String returns strongSwan's name, as in its log.
func (s Scheme) String() string {
	switch s.Key {
	case RSA:
		if s.PSS {
			return "RSA_EMSA_PSS_" + s.Hash.String()
		}
		return "RSA_EMSA_PKCS1_" + s.Hash.String()
	case ECDSA:
		return "ECDSA_WITH_" + s.Hash.String() + "_DER"
	}
	return s.Key.String()
}

// identifiers are the AlgorithmIdentifiers of RFC 7427 appendix A, DER in hex.
// The first of a scheme is the one that is sent: of RSASSA-PSS, the one
// without the trailer field, as strongSwan.
var identifiers = []struct {
	der    string
	scheme Scheme
}{
	{"300d06092a864886f70d0101050500", Scheme{RSA, false, SHA1}},
	{"300d06092a864886f70d01010b0500", Scheme{RSA, false, SHA256}},
	{"300d06092a864886f70d01010c0500", Scheme{RSA, false, SHA384}},
	{"300d06092a864886f70d01010d0500", Scheme{RSA, false, SHA512}},
	{"300906072a8648ce3d0401", Scheme{ECDSA, false, SHA1}},
	{"300a06082a8648ce3d040302", Scheme{ECDSA, false, SHA256}},
	{"300a06082a8648ce3d040303", Scheme{ECDSA, false, SHA384}},
	{"300a06082a8648ce3d040304", Scheme{ECDSA, false, SHA512}},
	{"300506032b6570", Scheme{Ed25519, false, Identity}},
	// RSASSA-PSS without parameters is SHA-1 with a salt of 20 octets.
	{"300d06092a864886f70d01010a3000", Scheme{RSA, true, SHA1}},
	{"304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120", Scheme{RSA, true, SHA256}},
	{"304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130", Scheme{RSA, true, SHA384}},
	{"304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140", Scheme{RSA, true, SHA512}},
	{"304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101", Scheme{RSA, true, SHA256}},
	{"304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101", Scheme{RSA, true, SHA384}},
	{"304606092a864886f70d01010a3039a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140a303020101", Scheme{RSA, true, SHA512}},
}

// identifier returns the AlgorithmIdentifier of a scheme.
func (s Scheme) identifier() ([]byte, error) {
	for _, i := range identifiers {
		if i.scheme == s {
			return hex.DecodeString(i.der)
		}
	}
	return nil, fmt.Errorf("there is no signature scheme %s", s)
}

// schemeOf returns the scheme of an AlgorithmIdentifier.
func schemeOf(der []byte) (Scheme, error) {
	text := hex.EncodeToString(der)
	for _, i := range identifiers {
		if i.der == text {
			return i.scheme, nil
		}
	}
	return Scheme{}, fmt.Errorf("the signature algorithm %.128s is not supported", text)
}
