package tpm20

import (
	"context"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// SigningKeyRequest says which signing key to make.
type SigningKeyRequest struct {
	Bits int  // of RSA (2048, 3072, 4096) or of an ECC curve (256, 384, 521); 0: 2048, 256
	ECC  bool // else RSA
	// Hash, where set, binds the key to it: to ECDSA, RSASSA or with PSS to RSASSA-PSS.
	// strongSwan's plugin tpm uses no other keys. 0: it signs with every hash.
	Hash     pcr.Hash
	PSS      bool
	Parent   uint32
	Password []byte // of the key; empty: none, and no protection against guessing is needed
	// PCRs, where any, bind the key to the values that they have now in Bank.
	Bank pcr.Hash
	PCRs pcr.Selection
}

// CreateSigningKey makes a key that signs and never leaves the TPM, wrapped under
// the parent (0: the owner's hierarchy).
func (t *TPM) CreateSigningKey(ctx context.Context, req SigningKeyRequest, auth Auth) (w *WrappedKey, err error) {
	if req.Parent == 0 {
		req.Parent = uint32(tpm2.TPMRHOwner)
	}
	template, err := req.template()
	if err != nil {
		return nil, err
	}
	err = t.do(ctx, "create key", func(s *session) error {
		w = &WrappedKey{Parent: req.Parent, EmptyAuth: len(req.Password) == 0}
		if req.PCRs != 0 {
			values, err := s.readPCRs(req.Bank, req.PCRs)
			if err != nil {
				return err
			}
			c := PolicyCommand{code: tpm2.TPMCCPolicyPCR, pcr: policyPCR{
				digest: tpm2.TPM2BDigest{Buffer: PCRDigest(pcr.SHA256, values)}, pcrs: selection(req.Bank, req.PCRs),
			}}
			w.Policy = []PolicyCommand{c}
			// TPM Library Part 3 section 23.7.1: the digest of zeros is extended.
			extended := append(make([]byte, pcr.SHA256.Size()), 0, 0, 0x01, 0x7f)
			extended = append(append(extended, tpm2.Marshal(c.pcr.pcrs)...), c.pcr.digest.Buffer...)
			template.AuthPolicy = tpm2.TPM2BDigest{Buffer: pcr.SHA256.Sum(extended)}
			template.ObjectAttributes.UserWithAuth = false
		}
		parent, err := s.storageKey(req.Parent, auth)
		if err != nil {
			return err
		}
		defer s.flush(parent)
		rsp, err := tpm2.Create{
			ParentHandle: withPassword(parent.handle, parent.pub.name, nil), InPublic: tpm2.New2B(template),
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: req.Password}}},
		}.Execute(s)
		if err != nil {
			return err
		}
		w.Public, w.Private = tpm2.Marshal(rsp.OutPublic), tpm2.Marshal(rsp.OutPrivate)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// template is of a key that signs digests of any scheme that its type has.
func (r SigningKeyRequest) template() (tpm2.TPMTPublic, error) {
	pub := tpm2.TPMTPublic{
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: len(r.Password) == 0, SignEncrypt: true,
		},
	}
	if r.ECC {
		bits := r.Bits
		if bits == 0 {
			bits = 256
		}
		curve, ok := curves[bits]
		if !ok {
			return pub, fmt.Errorf("signing key: ECC with %d bits is not one of 256, 384, 521", bits)
		}
		pub.Type = tpm2.TPMAlgECC
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: r.eccScheme(),
			CurveID: curve, KDF: tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
		return pub, nil
	}
	bits := r.Bits
	if bits == 0 {
		bits = 2048
	}
	if bits != 2048 && bits != 3072 && bits != 4096 {
		return pub, fmt.Errorf("signing key: RSA with %d bits; TPMs have 2048, some 3072 or 4096", bits)
	}
	pub.Type = tpm2.TPMAlgRSA
	pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
		Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: r.rsaScheme(), KeyBits: tpm2.TPMKeyBits(bits),
	})
	pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	return pub, nil
}

func (r SigningKeyRequest) eccScheme() tpm2.TPMTECCScheme {
	if r.Hash == 0 {
		return tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull}
	}
	return tpm2.TPMTECCScheme{
		Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgID(r.Hash)}),
	}
}

func (r SigningKeyRequest) rsaScheme() tpm2.TPMTRSAScheme {
	switch {
	case r.Hash == 0:
		return tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull}
	case r.PSS:
		return tpm2.TPMTRSAScheme{
			Scheme: tpm2.TPMAlgRSAPSS, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: tpm2.TPMAlgID(r.Hash)}),
		}
	}
	return tpm2.TPMTRSAScheme{
		Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgID(r.Hash)}),
	}
}

// curves are the curves of TPMs by their bits.
var curves = map[int]tpm2.TPMECCCurve{256: tpm2.TPMECCNistP256, 384: tpm2.TPMECCNistP384, 521: tpm2.TPMECCNistP521}
