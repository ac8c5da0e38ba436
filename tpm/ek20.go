package tpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// KeyType is the type of an endorsement key.
type KeyType uint8

// Types of endorsement keys (TCG EK Credential Profile Annex B).
const (
	RSA    KeyType = iota // template L-1, RSA 2048
	ECC                   // template L-2, NIST P-256
	ECC384                // template H-3, NIST P-384
)

// KeyTypes are all of them, the most common first.
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

// ekPlace says where a type of endorsement key and what belongs to it are: the
// persistent handle, and NV indices, 0 for none (TCG EK Credential Profile
// §2.2.1.4, §2.2.1.5).
type ekPlace struct{ handle, cert, nonce, template uint32 }

var ekPlaces = map[KeyType]ekPlace{
	RSA:    {0x81010001, 0x01c00002, 0x01c00003, 0x01c00004},
	ECC:    {0x81010002, 0x01c0000a, 0x01c0000b, 0x01c0000c},
	ECC384: {0x81010016, 0x01c00016, 0, 0x01c00017},
}

// policyB384 is PolicyB of the TCG EK Credential Profile with SHA-384.
var policyB384, _ = hex.DecodeString("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12")

// eccEKTemplate384 is template H-3.
func eccEKTemplate384() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA384,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, AdminWithPolicy: true,
			Restricted: true, Decrypt: true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policyB384},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{
				Algorithm: tpm2.TPMAlgAES,
				KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)),
				Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
			},
			CurveID: tpm2.TPMECCNistP384,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
	}
}

// ekTemplate returns the TCG's template, or the one that the manufacturer left
// in the TPM.
func (s *session20) ekTemplate(typ KeyType) (tpm2.TPM2BPublic, error) {
	var pub tpm2.TPMTPublic
	switch typ {
	case RSA:
		pub = tpm2.RSAEKTemplate
	case ECC:
		pub = tpm2.ECCEKTemplate
	case ECC384:
		pub = eccEKTemplate384()
	default:
		return tpm2.TPM2BPublic{}, fmt.Errorf("no %v", typ)
	}
	at := ekPlaces[typ]
	if b, err := s.readNV(at.template, nil); err == nil {
		return tpm2.BytesAs2B[tpm2.TPMTPublic](b), nil
	} else if !errors.Is(err, ErrNoKey) {
		return tpm2.TPM2BPublic{}, err
	}
	if at.nonce == 0 {
		return tpm2.New2B(pub), nil
	}
	nonce, err := s.readNV(at.nonce, nil)
	switch {
	case errors.Is(err, ErrNoKey):
		return tpm2.New2B(pub), nil
	case err != nil:
		return tpm2.TPM2BPublic{}, err
	}
	// EK Credential Profile §2.2.1.3: the nonce stands first in unique, zeros behind it
	if typ == RSA {
		u := make([]byte, 256)
		copy(u, nonce)
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: u})
	} else {
		x := make([]byte, 32)
		copy(x, nonce)
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: x}, Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)},
		})
	}
	return tpm2.New2B(pub), nil
}

// object20 is an object of the TPM's.
type object20 struct {
	handle    tpm2.TPMHandle
	pub       *publicKey
	transient bool // to be flushed
}

// endorsement returns the endorsement key: the persistent one that the
// manufacturer or the firmware left, where it is of the type and of the
// certificate that cert may hold; else made again by its template, which takes
// a TPM of hardware seconds. The caller flushes it.
func (s *session20) endorsement(typ KeyType, cert []byte, auth Auth20) (*object20, error) {
	if ek, err := s.persistentEK(typ, cert); ek != nil || err != nil {
		return ek, err
	}
	return s.createEK(typ, auth)
}

func (s *session20) persistentEK(typ KeyType, cert []byte) (*object20, error) {
	handle := ekPlaces[typ].handle
	k, err := s.readPublic(handle)
	if errors.Is(err, ErrNoKey) || errors.Is(err, ErrReply) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := k.area.ObjectAttributes
	if !a.FixedTPM || !a.Restricted || !a.Decrypt || a.SignEncrypt || !typ.holds(k.key) {
		return nil, nil // another key
	}
	if der, err := firstDER(cert); err == nil {
		if c, err := x509.ParseCertificate(der); err == nil && !EqualKeys(c.PublicKey, k.key) {
			return nil, nil
		}
	}
	return &object20{handle: tpm2.TPMHandle(handle), pub: k}, nil
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

func (s *session20) createEK(typ KeyType, auth Auth20) (*object20, error) {
	template, err := s.ekTemplate(typ)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's template: %w", err)
	}
	rsp, err := tpm2.CreatePrimary{
		PrimaryHandle: withPassword(tpm2.TPMRHEndorsement, nil, auth.Endorsement),
		InPublic:      template,
	}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("endorsement key: %w", err)
	}
	ek := &object20{handle: rsp.ObjectHandle, transient: true}
	area, err := rsp.OutPublic.Contents()
	if err == nil {
		ek.pub, err = newPublicKey(area)
	}
	if err != nil {
		s.flush(ek)
		return nil, replyError("TPM2_CreatePrimary", err)
	}
	ek.pub.name = bytes.Clone(rsp.Name.Buffer)
	return ek, nil
}

// flush drops a transient object; that it fails changes nothing for the caller.
func (s *session20) flush(o *object20) {
	if o.transient {
		tpm2.FlushContext{FlushHandle: o.handle}.Execute(s)
	}
}

// use authorizes an endorsement key's use: by its empty password where its
// template allows that (H-3), else by its policy, which is PolicySecret with the
// endorsement hierarchy's password (PolicyA).
func (o *object20) use(auth Auth20) tpm2.AuthHandle {
	if o.pub.area.ObjectAttributes.UserWithAuth {
		return withPassword(o.handle, o.pub.name, nil)
	}
	policy := tpm2.Policy(o.pub.area.NameAlg, 16, func(t transport.TPM, h tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{
			AuthHandle:    withPassword(tpm2.TPMRHEndorsement, nil, auth.Endorsement),
			PolicySession: h,
			NonceTPM:      nonce,
		}.Execute(t)
		return err
	})
	return tpm2.AuthHandle{Handle: o.handle, Name: tpm2.TPM2BName{Buffer: o.pub.name}, Auth: policy}
}

// Endorsement is the endorsement key, by which the manufacturer vouches for
// the TPM.
type Endorsement struct {
	Type        KeyType
	PublicKey   crypto.PublicKey
	Area        []byte // TPMT_PUBLIC of a TPM 2.0
	Certificate []byte // X.509 in DER; nil where the TPM holds none
}

// EndorsementKey finds the endorsement key or makes it again, which is always
// the same, and reads its certificate. A certificate of another key is an error.
func (t *V20) EndorsementKey(ctx context.Context, typ KeyType, auth Auth20) (e *Endorsement, err error) {
	err = t.do(ctx, "read endorsement key", func(s *session20) error {
		cert, err := s.ekCertificate(typ, auth)
		if err != nil && !errors.Is(err, ErrNoKey) {
			return fmt.Errorf("endorsement key's certificate: %w", err)
		}
		ek, err := s.endorsement(typ, cert, auth)
		if err != nil {
			return err
		}
		s.flush(ek)
		e = &Endorsement{Type: typ, PublicKey: ek.pub.key, Area: tpm2.Marshal(ek.pub.area)}
		if cert != nil {
			e.Certificate, err = checkEKCertificate(cert, ek.pub.key)
		}
		return err
	})
	return e, err
}

// CertifiedKeyType returns the first type of endorsement key that the TPM holds
// a certificate of; RSA where it holds none.
func (t *V20) CertifiedKeyType(ctx context.Context) (typ KeyType, err error) {
	err = t.do(ctx, "find endorsement key's certificate", func(s *session20) error {
		for _, typ = range KeyTypes {
			_, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(ekPlaces[typ].cert)}.Execute(s)
			if err == nil || !errors.Is(err, ErrNoKey) {
				return err
			}
		}
		typ = RSA
		return nil
	})
	return typ, err
}

// ekCertificate reads what the NV index of the certificate holds. ErrNoKey
// where there is no such index.
func (s *session20) ekCertificate(typ KeyType, auth Auth20) ([]byte, error) {
	return s.readNV(ekPlaces[typ].cert, auth.Owner)
}

// checkEKCertificate cuts off what stands behind the certificate in the NV
// index, which some manufacturers made too long, and compares the key.
func checkEKCertificate(b []byte, key crypto.PublicKey) ([]byte, error) {
	der, err := firstDER(b)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's certificate: %w", err)
	}
	if !EqualKeys(cert.PublicKey, key) {
		return nil, errors.New("the endorsement key's certificate is of another key: the TPM was cleared with a new endorsement seed, or its template is not the TCG's")
	}
	return der, nil
}

// nvChunk is how much of an NV index is read at once; TPM_PT_NV_BUFFER_MAX is
// 512 at least (TCG PC Client Platform TPM Profile §4.2).
const nvChunk = 512

// readNV reads an NV index whole, by its own empty password, else by the
// owner's. ErrNoKey where there is no such index.
func (s *session20) readNV(index uint32, owner []byte) ([]byte, error) {
	pub, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(s)
	if err != nil {
		return nil, err
	}
	area, err := pub.NVPublic.Contents()
	if err != nil {
		return nil, replyError("TPM2_NV_ReadPublic", err)
	}
	auth := withPassword(tpm2.TPMHandle(index), pub.NVName.Buffer, nil)
	if !area.Attributes.AuthRead {
		auth = withPassword(tpm2.TPMRHOwner, nil, owner)
	}
	var out []byte
	for len(out) < int(area.DataSize) {
		rsp, err := tpm2.NVRead{
			AuthHandle: auth,
			NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: pub.NVName},
			Size:       uint16(min(nvChunk, int(area.DataSize)-len(out))),
			Offset:     uint16(len(out)),
		}.Execute(s)
		if err != nil {
			return nil, err
		}
		if len(rsp.Data.Buffer) == 0 {
			return nil, replyError("TPM2_NV_Read", errors.New("no data"))
		}
		out = append(out, rsp.Data.Buffer...)
	}
	return out, nil
}
