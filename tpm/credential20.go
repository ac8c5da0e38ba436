package tpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
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

	"github.com/gotnc/gotnc/internal/wire"
)

// Credential is what a privacy CA sends to a TPM 2.0 so that it proves to hold
// a key beside its endorsement key (TPM Library Part 1 §24).
type Credential struct {
	IDObject []byte // TPMS_ID_OBJECT: the content of TPM2B_ID_OBJECT
	Secret   []byte // the content of TPM2B_ENCRYPTED_SECRET
}

// Header of tpm2_makecredential's files.
const (
	credentialMagic   = 0xbadcc0de
	credentialVersion = 1
)

// ParseCredential reads a credential as tpm2_makecredential writes it:
// u32 0xbadcc0de | u32 1 | TPM2B_ID_OBJECT | TPM2B_ENCRYPTED_SECRET.
func ParseCredential(r *wire.Reader) (Credential, error) {
	var c Credential
	if at := r.Offset(); r.U32() != credentialMagic {
		r.Fail(at, fmt.Errorf("%w: not a file of tpm2_makecredential", wire.ErrValue))
	}
	if at := r.Offset(); r.U32() != credentialVersion {
		r.Fail(at, wire.ErrValue)
	}
	c.IDObject = bytes.Clone(r.Bytes(int(r.U16())))
	c.Secret = bytes.Clone(r.Bytes(int(r.U16())))
	return c, r.Finish()
}

// AppendBinary appends the credential in tpm2_makecredential's form.
func (c Credential) AppendBinary(b []byte) ([]byte, error) {
	b = wire.AppendU32(wire.AppendU32(b, credentialMagic), credentialVersion)
	b, err := wire.AppendVec16(b, c.IDObject)
	if err != nil {
		return nil, err
	}
	return wire.AppendVec16(b, c.Secret)
}

// MakeCredential does the privacy CA's part: it wraps up to 32 octets of a
// secret so that only the TPM with that endorsement key unwraps it, and only if
// it holds the key of that name as well. The endorsement key's template is the
// TCG's (L-1 or L-2); no TPM is needed.
func MakeCredential(ek crypto.PublicKey, name, secret []byte) (Credential, error) {
	var area tpm2.TPMTPublic
	switch k := ek.(type) {
	case *rsa.PublicKey:
		area = tpm2.RSAEKTemplate
		if k.Size() != 256 || k.E != 65537 {
			return Credential{}, fmt.Errorf("make credential: an endorsement key of %d bits is not of the TCG's template L-1", k.N.BitLen())
		}
		area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.FillBytes(make([]byte, 256))})
	case *ecdsa.PublicKey:
		area = tpm2.ECCEKTemplate
		p, err := k.ECDH()
		if err != nil || p.Curve() != ecdh.P256() {
			return Credential{}, errors.New("make credential: an endorsement key that is not on P-256 is not of the TCG's template L-2")
		}
		b := p.Bytes()
		area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: b[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: b[33:]},
		})
	default:
		return Credential{}, fmt.Errorf("make credential: endorsement key of type %T", ek)
	}
	if len(secret) == 0 || len(secret) > 32 {
		return Credential{}, fmt.Errorf("make credential: a secret of %d octets; 1 to 32 fit", len(secret))
	}
	enc, err := tpm2.ImportEncapsulationKey(&area)
	if err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	id, sec, err := tpm2.CreateCredential(rand.Reader, enc, name, secret)
	if err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	return Credential{IDObject: id, Secret: sec}, nil
}

// CheckAK reads a TPMT_PUBLIC and says why it is not that of an attestation
// key that only signs what the TPM itself made. It returns the public key and
// the key's name, which a credential is bound to. For privacy CAs.
func CheckAK(area []byte) (key crypto.PublicKey, name []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("AK public area: %w: %v", ErrReply, p)
		}
	}()
	pub, err := tpm2.Unmarshal[tpm2.TPMTPublic](area)
	if err != nil {
		return nil, nil, fmt.Errorf("AK public area: %w", err)
	}
	if !bytes.Equal(tpm2.Marshal(pub), area) {
		return nil, nil, errors.New("AK public area: octets left over")
	}
	a := pub.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.Restricted || !a.SignEncrypt || a.Decrypt {
		return nil, nil, errors.New("AK public area: not a restricted signing key that the TPM made and keeps")
	}
	k, err := newPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("AK public area: %w", err)
	}
	n, err := tpm2.ObjectName(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("AK public area: %w", err)
	}
	return k.key, n.Buffer, nil
}

// ActivateCredential unwraps the secret of a credential for the key at a
// handle (TPM Library Part 3 §12.5).
func (t *V20) ActivateCredential(ctx context.Context, handle uint32, ekType KeyType, c Credential, auth Auth20) (secret []byte, err error) {
	err = t.do(ctx, "activate credential", func(s *session20) error {
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		ek, err := s.createEK(ekType, auth)
		if err != nil {
			return err
		}
		defer s.flush(ek.handle)
		rsp, err := tpm2.ActivateCredential{
			ActivateHandle: withPassword(tpm2.TPMHandle(handle), k.name, nil),
			KeyHandle:      ek.withPolicy(auth),
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: c.IDObject},
			Secret:         tpm2.TPM2BEncryptedSecret{Buffer: c.Secret},
		}.Execute(s)
		if err != nil {
			var re *ResponseError
			if errors.As(err, &re) && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrLocked) {
				return fmt.Errorf("%w; the credential is for another key or another TPM", err)
			}
			return err
		}
		secret = bytes.Clone(rsp.CertInfo.Buffer)
		return nil
	})
	return secret, err
}

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
			hash = Hash(k.area.NameAlg)
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
	alg, ok := map[Scheme]map[Hash]x509.SignatureAlgorithm{
		RSASSA: {SHA256: x509.SHA256WithRSA, SHA384: x509.SHA384WithRSA, SHA512: x509.SHA512WithRSA},
		ECDSA:  {SHA256: x509.ECDSAWithSHA256, SHA384: x509.ECDSAWithSHA384, SHA512: x509.ECDSAWithSHA512},
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
	oidHashes = map[Hash]asn1.ObjectIdentifier{
		SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
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
