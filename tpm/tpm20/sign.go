package tpm20

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// maxHash is how many octets TPM2_Hash takes: MAX_DIGEST_BUFFER of every TPM.
const maxHash = 1024

// Sign signs a message with a restricted key, which signs only what the TPM
// hashed itself: certificate requests of up to 1024 octets
// (TPM Library Part 1 section 25.2).
func (t *TPM) Sign(ctx context.Context, handle uint32, message []byte) (sig []byte, err error) {
	if len(message) > maxHash {
		return nil, fmt.Errorf("sign: a message of %d octets; the TPM takes %d", len(message), maxHash)
	}
	err = t.do(ctx, "sign", func(s *session) error {
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		scheme, err := k.signingScheme()
		if err != nil {
			return err
		}
		hash := k.hash
		if k.scheme == tpm2.TPMAlgNull {
			hash = pcr.Hash(k.area.NameAlg)
		}
		h, err := tpm2.Hash{
			Data: tpm2.TPM2BMaxBuffer{Buffer: message}, HashAlg: tpm2.TPMAlgID(hash), Hierarchy: tpm2.TPMRHEndorsement,
		}.Execute(s)
		if err != nil {
			return err
		}
		rsp, err := tpm2.Sign{
			KeyHandle: withPassword(tpm2.TPMHandle(handle), k.name, nil),
			Digest:    h.OutHash, InScheme: scheme, Validation: h.Validation,
		}.Execute(s)
		if err != nil {
			return err
		}
		sig, _, err = signature(&rsp.Signature, k.key)
		return err
	})
	return sig, err
}

// signer is a restricted key for crypto/x509, which passes messages to a
// crypto.MessageSigner: the TPM has to hash them itself.
type signer struct {
	ctx context.Context
	t   *TPM
	key *Key
}

func (s *signer) Public() crypto.PublicKey { return s.key.PublicKey }

func (s *signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a restricted key of a TPM signs messages, not digests")
}

// SignMessage signs in the encoding of X.509: ECDSA as SEQUENCE { r, s }.
func (s *signer) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.key.Hash != 0 && opts.HashFunc() != s.key.Hash.Crypto() {
		return nil, fmt.Errorf("the key signs with %v, not with %v", s.key.Hash, opts.HashFunc())
	}
	sig, err := s.t.Sign(s.ctx, s.key.Handle, msg)
	if err != nil {
		return nil, err
	}
	if _, ok := s.key.PublicKey.(*ecdsa.PublicKey); ok {
		return ecdsaASN1(sig)
	}
	return sig, nil
}

// ecdsaASN1 returns r followed by s as X.509's SEQUENCE { r, s }.
func ecdsaASN1(sig []byte) ([]byte, error) {
	if len(sig) == 0 || len(sig)%2 != 0 {
		return nil, errors.New("an ECDSA signature has an even number of octets")
	}
	n := len(sig) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
}
