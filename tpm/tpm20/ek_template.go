package tpm20

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
)

// ekPlace has the persistent handle of a type of endorsement key and the NV indices
// of its certificate, nonce and template, 0 for none (TCG EK Credential Profile
// sections 2.2.1.4 and 2.2.1.5).
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

// ekTemplate returns the template that the manufacturer stored in the TPM, else the
// TCG's with the manufacturer's nonce, if the TPM holds one.
func (s *session) ekTemplate(typ KeyType) (tpm2.TPM2BPublic, error) {
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
	} else if !errors.Is(err, attest.ErrNoKey) {
		return tpm2.TPM2BPublic{}, err
	}
	if at.nonce == 0 {
		return tpm2.New2B(pub), nil
	}
	nonce, err := s.readNV(at.nonce, nil)
	switch {
	case errors.Is(err, attest.ErrNoKey):
		return tpm2.New2B(pub), nil
	case err != nil:
		return tpm2.TPM2BPublic{}, err
	}
	// EK Credential Profile section 2.2.1.3: unique starts with the nonce, zeros follow
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
