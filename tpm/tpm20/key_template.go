package tpm20

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Scheme is a signature scheme of attestation keys (TPM Library Part 2 section 6.3).
type Scheme uint16

// Signature schemes.
const (
	RSASSA Scheme = 0x0014
	RSAPSS Scheme = 0x0016 // unknown to strongSwan's verifier in quotes
	ECDSA  Scheme = 0x0018
)

// String returns the name that tpm2-tools use.
func (s Scheme) String() string {
	switch s {
	case RSASSA:
		return "rsassa"
	case RSAPSS:
		return "rsapss"
	case ECDSA:
		return "ecdsa"
	}
	return fmt.Sprintf("0x%04x", uint16(s))
}

// KeyTemplate says which kind of attestation key to make.
type KeyTemplate struct {
	Scheme Scheme   // 0: RSASSA
	Hash   pcr.Hash // of the scheme; 0: SHA256
	Bits   int      // of an RSA modulus or of an ECC curve; 0: 2048, 256
}

func (k KeyTemplate) withDefaults() KeyTemplate {
	if k.Scheme == 0 {
		k.Scheme = RSASSA
	}
	if k.Hash == 0 {
		k.Hash = pcr.SHA256
	}
	if k.Bits == 0 {
		k.Bits = 2048
		if k.Scheme == ECDSA {
			k.Bits = 256
		}
	}
	return k
}

// public returns the template of an attestation key: a restricted signing key
// that never leaves the TPM, with no password, and so with no need for
// dictionary-attack protection (TCG TPM v2.0 Provisioning Guidance section 7).
func (k KeyTemplate) public() (tpm2.TPMTPublic, error) {
	k = k.withDefaults()
	pub := tpm2.TPMTPublic{
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true,
			NoDA: true, Restricted: true, SignEncrypt: true,
		},
	}
	if k.Hash.Size() == 0 || k.Hash == pcr.SHA1 {
		return pub, fmt.Errorf("attestation key: %v is not one of SHA-256, SHA-384, SHA-512", k.Hash)
	}
	h := tpm2.TPMAlgID(k.Hash)
	switch k.Scheme {
	case RSASSA, RSAPSS:
		if k.Bits != 2048 && k.Bits != 3072 && k.Bits != 4096 {
			return pub, fmt.Errorf("attestation key: RSA with %d bits; TPMs have 2048, some 3072 or 4096", k.Bits)
		}
		s := tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgID(k.Scheme)}
		if k.Scheme == RSASSA {
			s.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: h})
		} else {
			s.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: h})
		}
		pub.Type = tpm2.TPMAlgRSA
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: s, KeyBits: tpm2.TPMKeyBits(k.Bits),
		})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	case ECDSA:
		curve, ok := curves[k.Bits]
		if !ok {
			return pub, fmt.Errorf("attestation key: ECC with %d bits is not one of 256, 384, 521", k.Bits)
		}
		pub.Type = tpm2.TPMAlgECC
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull},
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: h}),
			},
			CurveID: curve,
			KDF:     tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	default:
		return pub, fmt.Errorf("attestation key: unknown scheme %v", k.Scheme)
	}
	return pub, nil
}
