package tpm20

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

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

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

// algorithmID is AlgorithmIdentifier of X.509.
type algorithmID struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// pssParameters is RSASSA-PSS-params (RFC 8017 appendix A.2.3).
type pssParameters struct {
	Hash algorithmID `asn1:"explicit,tag:0"`
	MGF  algorithmID `asn1:"explicit,tag:1"`
	Salt int         `asn1:"explicit,tag:2"`
}

// createPSSRequest makes a request of an RSAPSS key without crypto/x509, which
// knows PSS only with a salt as long as the hash: many TPMs use the longest salt
// that fits (TPM Library Part 1 annex B.7).
func (t *TPM) createPSSRequest(ctx context.Context, k *Key, template x509.CertificateRequest) ([]byte, error) {
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
	salt, ok := saltLength(pub, k.Hash, tbs, sig)
	if !ok {
		return nil, command.ReplyError("TPM2_Sign", errors.New("the signature does not verify"))
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

// saltLength returns the length of a signature's salt: that of the hash, or the
// longest that fits. False means that the signature is wrong.
func saltLength(pub *rsa.PublicKey, h pcr.Hash, message, sig []byte) (int, bool) {
	hash := h.Crypto()
	for _, n := range []int{hash.Size(), (pub.N.BitLen()+6)/8 - hash.Size() - 2} {
		if rsa.VerifyPSS(pub, hash, h.Sum(message), sig, &rsa.PSSOptions{SaltLength: n, Hash: hash}) == nil {
			return n, true
		}
	}
	return 0, false
}

// requestContent returns the CertificationRequestInfo that the TPM has to sign. It
// makes the request of a throw-away key with crypto/x509 and replaces the key.
func requestContent(template x509.CertificateRequest, pub crypto.PublicKey) ([]byte, error) {
	throwaway, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SignatureAlgorithm = x509.ECDSAWithSHA256
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, throwaway)
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

// CheckRequestSignature verifies the signature of a certificate request by the key
// in it. It does what CheckSignature of crypto/x509 does, and accepts PSS with any
// length of salt besides.
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
