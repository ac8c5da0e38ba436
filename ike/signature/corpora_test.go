package signature

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/corpora"
)

// TestCorporaSignatures verifies Wycheproof's signatures as AUTH of RFC 7427, the
// ECDSA ones of fixed length as those of RFC 4754.
func TestCorporaSignatures(t *testing.T) {
	rsa := func(h Hash) Scheme { return Scheme{RSA, false, h} }
	pss := func(h Hash) Scheme { return Scheme{RSA, true, h} }
	ec := func(h Hash) Scheme { return Scheme{ECDSA, false, h} }
	for file, s := range map[string]Scheme{
		"ecdsa_secp256r1_sha256": ec(SHA256), "ecdsa_secp256r1_sha512": ec(SHA512), "ecdsa_secp384r1_sha256": ec(SHA256),
		"ecdsa_secp384r1_sha384": ec(SHA384), "ecdsa_secp384r1_sha512": ec(SHA512), "ecdsa_secp521r1_sha512": ec(SHA512),
		"rsa_signature_2048_sha256": rsa(SHA256), "rsa_signature_2048_sha384": rsa(SHA384), "rsa_signature_2048_sha512": rsa(SHA512),
		"rsa_signature_3072_sha256": rsa(SHA256), "rsa_signature_3072_sha384": rsa(SHA384), "rsa_signature_3072_sha512": rsa(SHA512),
		"rsa_signature_4096_sha256": rsa(SHA256), "rsa_signature_4096_sha384": rsa(SHA384), "rsa_signature_4096_sha512": rsa(SHA512),
		"rsa_signature_8192_sha256": rsa(SHA256), "rsa_signature_8192_sha512": rsa(SHA512),
		"rsa_pss_2048_sha256_mgf1_32": pss(SHA256), "rsa_pss_2048_sha384_mgf1_48": pss(SHA384), "rsa_pss_3072_sha256_mgf1_32": pss(SHA256),
		"rsa_pss_4096_sha256_mgf1_32": pss(SHA256), "rsa_pss_4096_sha384_mgf1_48": pss(SHA384), "rsa_pss_4096_sha512_mgf1_64": pss(SHA512),
		"ed25519": {Ed25519, false, Identity},
	} {
		t.Run(file, func(t *testing.T) {
			id, err := s.identifier()
			require.NoError(t, err)
			corpora.Wycheproof(t, file, nil, func(g *corpora.Group, c *corpora.Test) error {
				pub, err := x509.ParsePKIXPublicKey(g.PublicKeyDER)
				if err != nil {
					return err
				}
				data := append(append([]byte{byte(len(id))}, id...), c.Sig...)
				got, err := Verify(pub, &message.Auth{Method: message.AuthDigitalSignature, Data: data}, c.Message)
				if err == nil && got != s {
					t.Errorf("%d: %s instead of %s", c.ID, got, s)
				}
				return err
			})
		})
	}
	for file, method := range map[string]message.AuthMethod{
		"ecdsa_secp256r1_sha256_p1363": message.AuthECDSA256, "ecdsa_secp384r1_sha384_p1363": message.AuthECDSA384, "ecdsa_secp521r1_sha512_p1363": message.AuthECDSA521,
	} {
		t.Run(file, func(t *testing.T) {
			corpora.Wycheproof(t, file, nil, func(g *corpora.Group, c *corpora.Test) error {
				pub, err := x509.ParsePKIXPublicKey(g.PublicKeyDER)
				if err != nil {
					return err
				}
				_, err = Verify(pub, &message.Auth{Method: method, Data: c.Sig}, c.Message)
				return err
			})
		})
	}
}
