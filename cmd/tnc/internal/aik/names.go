package aik

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

func tpmName(i tpm.Info) string {
	return fmt.Sprintf("%s %s %s, revision %s, firmware %s", i.Generation, i.Manufacturer, i.Vendor, i.Revision, i.Firmware)
}

// KeyName names the kind of a public key: "RSA 2048", "ECC P-256".
func KeyName(k crypto.PublicKey) string {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECC " + k.Params().Name
	}
	return fmt.Sprintf("%T", k)
}

// schemeName names how a key signs.
func schemeName(k *tpm20.Key) string {
	if k.Scheme == 0 {
		return "any scheme"
	}
	return fmt.Sprintf("%v %v", k.Scheme, k.Hash)
}

// endorsementName says who vouches for the TPM.
func endorsementName(r *privacyca.Request) string {
	c, err := x509.ParseCertificate(r.EKCertificate)
	if err != nil {
		return fmt.Sprintf("%v, without certificate: the privacy CA has to know this TPM, by --ek-sha256 %x", r.EKType, sha256.Sum256(r.EK))
	}
	return fmt.Sprintf("%v, certified by %q until %s", r.EKType, c.Issuer, c.NotAfter.Format("2006-01-02"))
}

// KeyID returns strongSwan's key identifier: the SHA-1 of a SubjectPublicKeyInfo.
func KeyID(spki []byte) string {
	sum := sha1.Sum(spki)
	return hex.EncodeToString(sum[:])
}
