package tpm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// maxHash is how much TPM2_Hash takes at once: MAX_DIGEST_BUFFER of every TPM.
const maxHash = 1024

// Sign signs a message with a restricted key, which signs only what the TPM
// hashed itself: certificate requests of up to 1024 octets
// (TPM Library Part 1 §25.2).
func (t *V20) Sign(ctx context.Context, handle uint32, message []byte) (sig []byte, err error) {
	if len(message) > maxHash {
		return nil, fmt.Errorf("sign: a message of %d octets; the TPM takes %d", len(message), maxHash)
	}
	err = t.do(ctx, "sign", func(s *session20) error {
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
		sig, _, err = signature20(&rsp.Signature, k.key)
		return err
	})
	return sig, err
}

// Signer returns the key at a handle for crypto/x509, which hands it messages
// (crypto.MessageSigner): the TPM has to hash them.
func (t *V20) Signer(ctx context.Context, handle uint32) (crypto.MessageSigner, error) {
	k, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
	return &signer20{ctx: ctx, t: t, key: k}, nil
}

type signer20 struct {
	ctx context.Context
	t   *V20
	key *Key20
}

func (s *signer20) Public() crypto.PublicKey { return s.key.PublicKey }

func (s *signer20) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a restricted key of a TPM signs messages, not digests")
}

// SignMessage signs in the encoding of X.509: ECDSA as SEQUENCE { r, s }.
func (s *signer20) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
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

// CreateRequest makes a PKCS #10 certificate request signed by the key at a
// handle. The template's SignatureAlgorithm is set to the key's scheme.
func (t *V20) CreateRequest(ctx context.Context, handle uint32, template x509.CertificateRequest) ([]byte, error) {
	signer, err := t.Signer(ctx, handle)
	if err != nil {
		return nil, err
	}
	k := signer.(*signer20).key
	alg, ok := map[Scheme]map[pcr.Hash]x509.SignatureAlgorithm{
		RSASSA: {pcr.SHA256: x509.SHA256WithRSA, pcr.SHA384: x509.SHA384WithRSA, pcr.SHA512: x509.SHA512WithRSA},
		ECDSA:  {pcr.SHA256: x509.ECDSAWithSHA256, pcr.SHA384: x509.ECDSAWithSHA384, pcr.SHA512: x509.ECDSAWithSHA512},
	}[k.Scheme][k.Hash]
	if k.Scheme == RSAPSS {
		return t.createPSSRequest(ctx, k, template)
	}
	if !ok {
		return nil, fmt.Errorf("certificate request: a key with scheme %v and %v has no algorithm of X.509", k.Scheme, k.Hash)
	}
	template.SignatureAlgorithm = alg
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// Object identifiers of RFC 8017 and of the SHA-2 hashes.
var (
	oidPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidHashes = map[pcr.Hash]asn1.ObjectIdentifier{
		pcr.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		pcr.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		pcr.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
)

type algorithmID struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

type pssParameters struct {
	Hash algorithmID `asn1:"explicit,tag:0"`
	MGF  algorithmID `asn1:"explicit,tag:1"`
	Salt int         `asn1:"explicit,tag:2"`
}

// createPSSRequest makes the request by itself: crypto/x509 knows PSS only with
// a salt as long as the hash, and many TPMs salt with as much as fits
// (TPM Library Part 1 Annex B.7).
func (t *V20) createPSSRequest(ctx context.Context, k *Key20, template x509.CertificateRequest) ([]byte, error) {
	pub, ok := k.PublicKey.(*rsa.PublicKey)
	oid := oidHashes[k.Hash]
	if !ok || oid == nil {
		return nil, fmt.Errorf("certificate request: RSAPSS with %v has no algorithm of X.509", k.Hash)
	}
	tbs, err := requestContent(template, pub)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	sig, err := t.Sign(ctx, k.Handle, tbs)
	if err != nil {
		return nil, err
	}
	hash := k.Hash.Crypto()
	salt := -1
	for _, n := range []int{hash.Size(), (pub.N.BitLen()+6)/8 - hash.Size() - 2} {
		if rsa.VerifyPSS(pub, hash, k.Hash.Sum(tbs), sig, &rsa.PSSOptions{SaltLength: n, Hash: hash}) == nil {
			salt = n
			break
		}
	}
	if salt < 0 {
		return nil, replyError("TPM2_Sign", errors.New("the signature does not verify"))
	}
	inner, err := asn1.Marshal(algorithmID{Algorithm: oid, Parameters: asn1.NullRawValue})
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pssParameters{
		Hash: algorithmID{Algorithm: oid, Parameters: asn1.NullRawValue},
		MGF:  algorithmID{Algorithm: oidMGF1, Parameters: asn1.RawValue{FullBytes: inner}},
		Salt: salt,
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm algorithmID
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: tbs},
		algorithmID{Algorithm: oidPSS, Parameters: asn1.RawValue{FullBytes: params}},
		asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)},
	})
}

// CheckRequestSignature verifies the signature of a certificate request with
// the key that it is for: like CheckSignature of crypto/x509, and PSS with any
// length of salt, which that does not know.
func CheckRequestSignature(csr *x509.CertificateRequest) error {
	if csr.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		return csr.CheckSignature()
	}
	var outer struct {
		TBS       asn1.RawValue
		Algorithm algorithmID
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(csr.Raw, &outer); err != nil {
		return err
	}
	pub, ok := csr.PublicKey.(*rsa.PublicKey)
	if !ok || !outer.Algorithm.Algorithm.Equal(oidPSS) {
		return fmt.Errorf("certificate request: unknown signature algorithm %v", outer.Algorithm.Algorithm)
	}
	var params pssParameters
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &params); err != nil {
		return fmt.Errorf("certificate request: PSS parameters: %w", err)
	}
	for h, oid := range oidHashes {
		if params.Hash.Algorithm.Equal(oid) {
			return rsa.VerifyPSS(pub, h.Crypto(), h.Sum(csr.RawTBSCertificateRequest), csr.Signature,
				&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: h.Crypto()})
		}
	}
	return fmt.Errorf("certificate request: unknown hash %v", params.Hash.Algorithm)
}

// requestContent encodes what a certificate request signs, for a key that
// crypto/x509 is not to sign with: it encodes the request of a key of the
// moment, whose place the right one takes.
func requestContent(template x509.CertificateRequest, pub crypto.PublicKey) ([]byte, error) {
	moment, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SignatureAlgorithm = x509.ECDSAWithSHA256
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, moment)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	var content struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(csr.RawTBSCertificateRequest, &content); err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	content.PublicKey = asn1.RawValue{FullBytes: spki}
	return asn1.Marshal(content)
}
