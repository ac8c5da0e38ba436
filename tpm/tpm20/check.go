package tpm20

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// ErrSignature is returned for a signature that is not of the key and the message.
var ErrSignature = errors.New("the signature is wrong")

// strong are the hashes that keys are named by and sign with; a name by a weak one
// could be another key's as well.
var strong = []tpm2.TPMAlgID{tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512}

// definedAttributes are the bits of TPMA_OBJECT that have a meaning for signing keys:
// not x509sign, by which a restricted key signs certificates that others word
// (TPM Library Part 2 section 8.3).
const definedAttributes = 0x000f0df6 &^ (1 << 19)

// decodeArea decodes a TPMT_PUBLIC and returns its name as well. It refuses what a
// certificate should not be issued for: octets left over, a weak hash of the name,
// attributes without a meaning, keys that did not come into being in the TPM or can
// leave it.
func decodeArea(area []byte) (pub *tpm2.TPMTPublic, k *publicKey, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", command.ErrReply, p)
		}
	}()
	if pub, err = tpm2.Unmarshal[tpm2.TPMTPublic](area); err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(tpm2.Marshal(pub), area) {
		return nil, nil, errors.New("octets left over")
	}
	if !slices.Contains(strong, pub.NameAlg) {
		return nil, nil, fmt.Errorf("its name is made with %v, not with SHA-256, SHA-384 or SHA-512", pcr.Hash(pub.NameAlg))
	}
	if bits := tpm2.Marshal(pub.ObjectAttributes); (uint32(bits[0])<<24|uint32(bits[1])<<16|uint32(bits[2])<<8|uint32(bits[3]))&^definedAttributes != 0 {
		return nil, nil, fmt.Errorf("attributes %x that no key for signing has", bits)
	}
	a := pub.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || a.EncryptedDuplication {
		return nil, nil, errors.New("not a key that the TPM made and keeps")
	}
	if k, err = newPublicKey(pub); err != nil {
		return nil, nil, err
	}
	if key, ok := k.key.(*rsa.PublicKey); ok && (key.N.BitLen() < 2048 || key.E != 65537) {
		return nil, nil, fmt.Errorf("an RSA key of %d bits with exponent %d", key.N.BitLen(), key.E)
	}
	n, err := tpm2.ObjectName(pub)
	if err != nil {
		return nil, nil, err
	}
	k.name = n.Buffer
	return pub, k, nil
}

// CheckAK decodes a TPMT_PUBLIC and returns its public key and name, which a
// credential is bound to. A key other than an attestation key, which signs only
// what the TPM itself made, is an error. Privacy CAs call it; it needs no TPM.
func CheckAK(area []byte) (key crypto.PublicKey, name []byte, err error) {
	pub, k, err := decodeArea(area)
	if err != nil {
		return nil, nil, fmt.Errorf("AK public area: %w", err)
	}
	a := pub.ObjectAttributes
	if !a.Restricted || !a.SignEncrypt || a.Decrypt {
		return nil, nil, errors.New("AK public area: not a restricted signing key that the TPM made and keeps")
	}
	if !slices.Contains(strong, tpm2.TPMAlgID(k.hash)) {
		return nil, nil, fmt.Errorf("AK public area: it signs with scheme %v and %v, not RSASSA, RSAPSS or ECDSA with SHA-256, SHA-384 or SHA-512", Scheme(k.scheme), k.hash)
	}
	return k.key, k.name, nil
}

// CheckSigningKey decodes a TPMT_PUBLIC and returns its public key and name. A key
// other than one that signs any digest, made by the TPM and kept in it, is an error.
func CheckSigningKey(area []byte) (key crypto.PublicKey, name []byte, err error) {
	pub, k, err := decodeArea(area)
	if err != nil {
		return nil, nil, fmt.Errorf("key's public area: %w", err)
	}
	if a := pub.ObjectAttributes; a.Restricted || !a.SignEncrypt || a.Decrypt {
		return nil, nil, errors.New("key's public area: not a key that signs any digest, and nothing else")
	}
	return k.key, k.name, nil
}

// VerifySignature checks a signature as a TPM makes it, RSA as it is and ECDSA as r
// followed by s, over a message that is hashed with hash. RSAPSS may have any salt.
func VerifySignature(key crypto.PublicKey, scheme Scheme, hash pcr.Hash, message, sig []byte) error {
	if !slices.Contains(strong, tpm2.TPMAlgID(hash)) {
		return fmt.Errorf("%w: it is made with %v", ErrSignature, hash)
	}
	digest := hash.Sum(message)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if scheme == RSASSA && rsa.VerifyPKCS1v15(k, hash.Crypto(), digest, sig) == nil ||
			scheme == RSAPSS && rsa.VerifyPSS(k, hash.Crypto(), digest, sig, nil) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		n := len(sig) / 2
		if scheme == ECDSA && n > 0 && len(sig)%2 == 0 && ecdsa.Verify(k, digest, new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])) {
			return nil
		}
	}
	return ErrSignature
}
