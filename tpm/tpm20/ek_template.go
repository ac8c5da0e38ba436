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
	RSA:     {0x81010001, 0x01c00002, 0x01c00003, 0x01c00004},
	ECC:     {0x81010002, 0x01c0000a, 0x01c0000b, 0x01c0000c},
	RSAH1:   {0x81010012, 0x01c00012, 0, 0x01c00013},
	ECCH2:   {0x81010014, 0x01c00014, 0, 0x01c00015},
	ECC384:  {0x81010016, 0x01c00016, 0, 0x01c00017},
	ECC521:  {0x81010018, 0x01c00018, 0, 0x01c00019},
	RSA3072: {0x8101001c, 0x01c0001c, 0, 0x01c0001d},
	RSA4096: {0x8101001e, 0x01c0001e, 0, 0x01c0001f},
}

// NV indices of the certificates of CAs between the endorsement key's certificate and
// the manufacturer's root (TCG EK Credential Profile section 2.2.1.5.2); Intel's
// firmware TPMs have theirs there.
const (
	ekChainFirst = 0x01c00100
	ekChainLast  = 0x01c001ff
)

// policyB is PolicyB of the TCG EK Credential Profile (annex B.6) by the hash of the
// key's name.
var policyB = map[tpm2.TPMAlgID][]byte{
	tpm2.TPMAlgSHA256: unhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"),
	tpm2.TPMAlgSHA384: unhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12"),
	tpm2.TPMAlgSHA512: unhex("b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4" +
		"29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea"),
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// highTemplates has the hash of the name and the bits of AES of the high range's
// templates.
var highTemplates = map[KeyType]struct {
	name tpm2.TPMAlgID
	aes  tpm2.TPMKeyBits
}{
	RSAH1: {tpm2.TPMAlgSHA256, 128}, ECCH2: {tpm2.TPMAlgSHA256, 128}, ECC384: {tpm2.TPMAlgSHA384, 256},
	ECC521: {tpm2.TPMAlgSHA512, 256}, RSA3072: {tpm2.TPMAlgSHA384, 256}, RSA4096: {tpm2.TPMAlgSHA512, 256},
}

// template returns the TCG's template of a type, whose unique field is empty in the
// high range.
func (k KeyType) template() (tpm2.TPMTPublic, error) {
	switch k {
	case RSA:
		return tpm2.RSAEKTemplate, nil
	case ECC:
		return tpm2.ECCEKTemplate, nil
	}
	h, ok := highTemplates[k]
	if !ok {
		return tpm2.TPMTPublic{}, fmt.Errorf("no %v", k)
	}
	pub := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: h.name,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, AdminWithPolicy: true,
			Restricted: true, Decrypt: true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policyB[h.name]},
	}
	symmetric := tpm2.TPMTSymDefObject{
		Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, h.aes),
		Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
	if t := keyTypes[k]; t.rsa {
		pub.Type = tpm2.TPMAlgRSA
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Symmetric: symmetric, KeyBits: tpm2.TPMKeyBits(t.bits)})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	} else {
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{Symmetric: symmetric, CurveID: curves[t.bits]})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	}
	return pub, nil
}

// ekTemplate returns the template that the manufacturer stored in the TPM, else the
// TCG's with the manufacturer's nonce, if the TPM holds one.
func (s *session) ekTemplate(typ KeyType) (tpm2.TPM2BPublic, error) {
	pub, err := typ.template()
	if err != nil {
		return tpm2.TPM2BPublic{}, err
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
