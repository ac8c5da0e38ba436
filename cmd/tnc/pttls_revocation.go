package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/internal/base/trust"
)

// unrevoked makes the check of whether the server's certificates have been
// revoked: by the response that came with them, --crl, and what can be fetched,
// as charon.plugins.revocation says. Path and name are checked before.
func (o *ptTLS) unrevoked(s *setup, cas []*x509.Certificate, logger *slog.Logger) (func([]*x509.Certificate, []byte) error, error) {
	v := s.strongswan.View("charon.plugins.revocation")
	cfg := trust.Config{
		CAs: cas, Log: logger, Fetcher: trust.HTTP{Timeout: v.Duration("timeout", 0)},
		NoCRL: !v.Bool("enable_crl", true), NoOCSP: !v.Bool("enable_ocsp", true),
	}
	for _, file := range o.crls {
		crl, err := trust.LoadCRL(file)
		if err != nil {
			return nil, notThere(file, "--crl", err)
		}
		cfg.CRLs = append(cfg.CRLs, crl)
	}
	policy := trust.Policy{
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		Holds:     func(*x509.Certificate) error { return nil }, // crypto/tls and pttls have compared the name
	}
	var err error
	if policy.Revocation, err = trust.ParseRevocation(o.revocation); err != nil {
		return nil, usageError("--%w", err)
	}
	store := trust.New(cfg)
	return func(certs []*x509.Certificate, ocsp []byte) error {
		ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
		defer cancel()
		shown := trust.Shown{Certs: certs}
		if len(ocsp) > 0 {
			shown.OCSP = [][]byte{ocsp}
		}
		if _, err := store.Verify(ctx, shown, policy, time.Now()); err != nil {
			return fmt.Errorf("the server was not accepted: %w", err)
		}
		return nil
	}, nil
}
