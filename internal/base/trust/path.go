package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// maxPaths bounds the paths that are tried for one certificate.
const maxPaths = 8

// UnknownCAError is returned for a certificate without a path to a trusted CA.
type UnknownCAError struct{ Certificate *x509.Certificate }

func (e *UnknownCAError) Error() string {
	return fmt.Sprintf("its certificate %q leads to no trusted CA (issuer %q)", e.Certificate.Subject, e.Certificate.Issuer)
}

// paths returns the paths from leaf to an anchor that the policy allows.
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
	// an anchor may be an intermediate CA whose root is an anchor too
	all, err := leaf.Verify(o)
	if err != nil {
		return nil, explain(leaf, err)
	}
	var out [][]*x509.Certificate
	var weak error
	for _, path := range all[:min(len(all), maxPaths)] {
		if len(p.CAs) > 0 && !overlap(path[1:], p.CAs) {
			continue
		}
		if err := strong(path); err != nil {
			weak = err
			continue
		}
		out = append(out, path)
	}
	if len(out) == 0 && weak != nil {
		return nil, weak
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("its certificate %q was not issued under a CA that remote.cacerts names", leaf.Subject)
	}
	return out, nil
}

// MinRSABits is the least size of RSA keys in a path, that of the trust anchor
// included, as for signatures of AUTH.
const MinRSABits = 2048

// WeakKeyError is returned for a path with an RSA key of less than MinRSABits.
type WeakKeyError struct {
	Certificate *x509.Certificate
	Bits        int
}

func (e *WeakKeyError) Error() string {
	return fmt.Sprintf("its path cannot be used: the RSA key of %q has %d bits, at least %d are needed", e.Certificate.Subject, e.Bits, MinRSABits)
}

func strong(path []*x509.Certificate) error {
	for _, c := range path {
		switch k := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if k.N.BitLen() < MinRSABits {
				return &WeakKeyError{c, k.N.BitLen()}
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default:
			return fmt.Errorf("its path cannot be used: the key of %q (%s) is none that signatures are verified with", c.Subject, c.PublicKeyAlgorithm)
		}
	}
	return nil
}

// overlap reports whether a certificate is in both lists.
func overlap(a, b []*x509.Certificate) bool {
	for _, c := range a {
		if contains(b, c) {
			return true
		}
	}
	return false
}

// explain returns the error of crypto/x509 as a clause about the peer's certificate.
func explain(leaf *x509.Certificate, err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return &UnknownCAError{leaf}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return fmt.Errorf("its certificate %q cannot be used: %q is valid from %s to %s", leaf.Subject, invalid.Cert.Subject, day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter))
	}
	return fmt.Errorf("its certificate %q cannot be used: %w", leaf.Subject, err)
}
