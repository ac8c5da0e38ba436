package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Revocation is how strictly revocation is checked (remote.revocation,
// strictcrlpolicy).
type Revocation int

// Policies.
const (
	Relaxed Revocation = iota // only a certificate that is known to be revoked is refused
	IfURI                     // the state has to be known where a URI says where to ask
	Strict                    // the state has to be known
)

// ParseRevocation reads the setting.
func ParseRevocation(s string) (Revocation, error) {
	switch s {
	case "", "relaxed":
		return Relaxed, nil
	case "ifuri":
		return IfURI, nil
	case "strict":
		return Strict, nil
	}
	return 0, fmt.Errorf("revocation = %q: not one of strict, ifuri, relaxed", s)
}

// RevokedError: a certificate of the path was revoked.
type RevokedError struct {
	Subject string
	At      time.Time
	Reason  int // RFC 5280 §5.3.1
}

func (e *RevokedError) Error() string {
	return fmt.Sprintf("its certificate %s was revoked on %s, reason: %s", e.Subject, day(e.At), reason(e.Reason))
}

func reason(code int) string {
	names := []string{"unspecified", "key compromise", "ca compromise", "affiliation changed", "superseded", "cessation of operation", "certificate hold", "7", "remove from crl", "privilege withdrawn", "aa compromise"}
	if code >= 0 && code < len(names) {
		return names[code]
	}
	return fmt.Sprint(code)
}

// status is what is known of a certificate.
type status int

const (
	skipped status = iota // nobody can be asked
	failed                // nobody answered
	stale                 // the answer is too old
	good
)

// revoked checks every certificate of a path but its last.
func (s *Store) revoked(ctx context.Context, path []*x509.Certificate, shown Shown, policy Revocation, now time.Time) error {
	for i, c := range path[:len(path)-1] {
		st, err := s.status(ctx, c, path[i+1], shown, now)
		if err != nil {
			return err
		}
		switch {
		case st == good || policy == Relaxed || policy == IfURI && st == skipped:
			continue
		case st == stale:
			return fmt.Errorf("the state of its certificate %q is known only from an old CRL or OCSP response, which revocation = %s does not allow", c.Subject, policy)
		case st == skipped:
			return fmt.Errorf("no CRL or OCSP responder is known for its certificate %q, which revocation = %s does not allow: name one in authorities, or put the CRL into x509crl", c.Subject, policy)
		}
		return fmt.Errorf("neither a CRL nor an OCSP response can be had for its certificate %q, which revocation = %s does not allow", c.Subject, policy)
	}
	return nil
}

func (r Revocation) String() string { return [...]string{"relaxed", "ifuri", "strict"}[r] }

// status asks OCSP, then CRLs.
func (s *Store) status(ctx context.Context, c, issuer *x509.Certificate, shown Shown, now time.Time) (status, error) {
	log.Infof(s.log, "checking certificate status of %q", c.Subject)
	best := skipped
	if !s.cfg.NoOCSP {
		st, err := s.ocspStatus(ctx, c, issuer, shown.OCSP, now)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	if !s.cfg.NoCRL {
		st, err := s.crlStatus(ctx, c, issuer, shown.CRLs, now)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	s.log.Info("certificate status is not available")
	return best, nil
}

// uris are those that the configuration names for the issuer, then those of the
// certificate; at most maxURIs.
func (s *Store) uris(issuer *x509.Certificate, of func(Authority) []string, own []string) (out []string) {
	for _, a := range s.cfg.Authorities {
		if a.CA.Equal(issuer) {
			out = append(out, of(a)...)
		}
	}
	out = append(out, own...)
	return out[:min(len(out), maxURIs)]
}

const maxURIs = 8

// fetch gets one URI; what cannot be had is told in the log.
func (s *Store) fetch(ctx context.Context, uri string, body []byte) []byte {
	if s.cfg.Fetcher == nil {
		return nil
	}
	b, err := s.cfg.Fetcher.Fetch(ctx, uri, body)
	if err != nil {
		log.Infof(s.log, "fetching from '%s' failed: %v", uri, err)
		return nil
	}
	return b
}
