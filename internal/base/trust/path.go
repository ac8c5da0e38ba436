package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// maxPaths caps the paths that are looked at for one certificate.
const maxPaths = 8

// paths returns the paths of leaf to an anchor that the policy allows.
func (s *Store) paths(leaf *x509.Certificate, sent []*x509.Certificate, p Policy, now time.Time) ([][]*x509.Certificate, error) {
	links := x509.NewCertPool()
	for _, c := range s.links {
		links.AddCert(c)
	}
	for _, c := range sent {
		if !c.Equal(leaf) {
			links.AddCert(c)
		}
	}
	o := x509.VerifyOptions{Roots: s.anchors, Intermediates: links, CurrentTime: now, KeyUsages: p.KeyUsages}
	if len(o.KeyUsages) == 0 {
		o.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	// An anchor that is an intermediate CA may be named although its root is
	// there too.
	all, err := leaf.Verify(o)
	if err != nil {
		return nil, explain(leaf, err)
	}
	var out [][]*x509.Certificate
	for _, path := range all[:min(len(all), maxPaths)] {
		if len(p.CAs) == 0 || overlap(path[1:], p.CAs) {
			out = append(out, path)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("its certificate %q was not issued under a CA that remote.cacerts names", leaf.Subject)
	}
	return out, nil
}

func overlap(a, b []*x509.Certificate) bool {
	for _, c := range a {
		if contains(b, c) {
			return true
		}
	}
	return false
}

func explain(leaf *x509.Certificate, err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("its certificate %q leads to no trusted CA (issuer %q): put that CA's certificate into x509ca", leaf.Subject, leaf.Issuer)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return fmt.Errorf("its certificate %q cannot be used: %q is valid from %s to %s", leaf.Subject, invalid.Cert.Subject, day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter))
	}
	return fmt.Errorf("its certificate %q cannot be used: %w", leaf.Subject, err)
}
