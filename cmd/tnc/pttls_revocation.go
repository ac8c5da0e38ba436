package main

import (
	"crypto/x509"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// unrevoked makes the check of whether the server's certificates have been
// revoked: by the response that came with them, --crl, and what can be fetched,
// as charon.plugins.revocation says. Path and name are checked before.
func (o *ptTLS) unrevoked(s *profile.Profile, cas []*x509.Certificate, logger *slog.Logger) (func([]*x509.Certificate, []byte) error, error) {
	var crls []*x509.RevocationList
	for _, file := range o.crls {
		crl, err := trust.LoadCRL(file)
		if err != nil {
			return nil, notThere(file, "--crl", err)
		}
		crls = append(crls, crl)
	}
	policy := trust.Policy{
		Holds: func(*x509.Certificate) error { return nil }, // crypto/tls and pttls have compared the name
	}
	var err error
	if policy.Revocation, err = trust.ParseRevocation(o.revocation); err != nil {
		return nil, report.UsageError("--%w", err)
	}
	verify := s.NewVerifyTLS(cas, crls, policy, logger)
	return func(certs []*x509.Certificate, ocsp []byte) error {
		if err := verify(certs, ocsp); err != nil {
			return fmt.Errorf("the server was not accepted: %w", err)
		}
		return nil
	}, nil
}
