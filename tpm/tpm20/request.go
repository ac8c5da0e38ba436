package tpm20

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// CreateRequest makes a PKCS #10 certificate request signed by the key at a
// handle. The template's SignatureAlgorithm is set to the key's scheme.
func (t *TPM) CreateRequest(ctx context.Context, handle uint32, template x509.CertificateRequest) ([]byte, error) {
	k, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
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
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, &signer{ctx: ctx, t: t, key: k})
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}
