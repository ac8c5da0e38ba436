package tpm20

import (
	"crypto"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// SignatureScheme is a way of signing.
type SignatureScheme struct {
	Scheme Scheme
	Hash   pcr.Hash
}

// Schemes returns how the key signs on this TPM: with its own scheme where it has
// one, else with those of its type and the hashes that the TPM has.
func (k *SigningKey) Schemes() (all []SignatureScheme) {
	schemes := []Scheme{RSASSA, RSAPSS}
	if k.key.area.Type == tpm2.TPMAlgECC {
		schemes = []Scheme{ECDSA}
	}
	for _, scheme := range schemes {
		for _, hash := range k.hashes {
			if k.key.scheme == tpm2.TPMAlgNull || k.key.scheme == tpm2.TPMAlgID(scheme) && k.key.hash == hash {
				all = append(all, SignatureScheme{scheme, hash})
			}
		}
	}
	return all
}

// Guarded reports whether wrong passwords of the key count against the TPM's
// protection from guessing, which locks it.
func (k *SigningKey) Guarded() bool { return !k.key.area.ObjectAttributes.NoDA }

// signatureHashes are the hashes of signatures, strongest last.
var signatureHashes = []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512}

// hashes returns which of signatureHashes the TPM has.
func (s *session) hashes() (have []pcr.Hash, err error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapAlgs, Property: 0, PropertyCount: 127}.Execute(s)
	if err != nil {
		return nil, err
	}
	algs, err := rsp.CapabilityData.Data.Algorithms()
	if err != nil {
		return nil, command.ReplyError("TPM2_GetCapability", err)
	}
	for _, h := range signatureHashes {
		if slices.ContainsFunc(algs.AlgProperties, func(a tpm2.TPMSAlgProperty) bool { return a.Alg == tpm2.TPMAlgID(h) }) {
			have = append(have, h)
		}
	}
	return have, nil
}

// hashOf returns the TPM's number of a hash, 0 where TPMs have none.
func hashOf(h crypto.Hash) pcr.Hash {
	for _, p := range signatureHashes {
		if p.Crypto() == h {
			return p
		}
	}
	return 0
}

// PublicKey returns the public key, an *rsa.PublicKey or an *ecdsa.PublicKey, without
// a TPM. The error is ErrRestricted or ErrNotSigning for a key that no SigningKey can
// be made of.
func (w *WrappedKey) PublicKey() (crypto.PublicKey, error) {
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](w.Public)
	if err != nil {
		return nil, fmt.Errorf("public part: %w", err)
	}
	area, err := public.Contents()
	if err != nil {
		return nil, fmt.Errorf("public part: %w", err)
	}
	k, err := newPublicKey(area)
	if err != nil {
		return nil, err
	}
	return k.key, k.signs()
}

// NeedsPassword reports whether the file says that the key has a password.
func (w *WrappedKey) NeedsPassword() bool {
	return !w.EmptyAuth && (len(w.Policy) == 0 || takesPassword(w.Policy))
}

// signs returns why a key does not sign what programs hash, nil where it does.
func (k *publicKey) signs() error {
	switch a := k.area.ObjectAttributes; {
	case a.Restricted:
		return ErrRestricted
	case !a.SignEncrypt:
		return ErrNotSigning
	}
	return nil
}
