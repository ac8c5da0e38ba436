package pttls

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// verifier makes the check of whether the server's certificates have been
// revoked: by the response that came with them, the CRLs, and what can be fetched,
// as charon.plugins.revocation says. Path and name are checked before.
func (c *Config) verifier(cas []*x509.Certificate) (profile.VerifyTLS, error) {
	var crls []*x509.RevocationList
	for _, file := range c.CRLs {
		crl, err := trust.LoadCRL(file)
		if err != nil {
			return nil, usage.FileError(file, "--crl", err)
		}
		crls = append(crls, crl)
	}
	policy := trust.Policy{MatchesPeer: func(*x509.Certificate) error { return nil }} // crypto/tls and pttls have compared the name
	var err error
	if policy.Revocation, err = trust.ParseRevocation(c.Revocation); err != nil {
		return nil, usage.Errorf("--%w", err)
	}
	verify := c.Profile.NewVerifyTLS(cas, crls, policy, c.Logger)
	return func(ctx context.Context, certs []*x509.Certificate, ocsp []byte) error {
		if err := verify(ctx, certs, ocsp); err != nil {
			return fmt.Errorf("the server was not accepted: %w", err)
		}
		return nil
	}, nil
}
