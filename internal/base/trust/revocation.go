package trust

import (
	"context"
	"crypto/x509"
	"errors"
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
	IfURI                     // the status has to be known where there is a URI to ask at
	Strict                    // the status has to be known
)

// ParseRevocation decodes the setting.
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

// RevokedError is returned for a certificate that was revoked.
type RevokedError struct {
	Subject string
	At      time.Time
	Reason  int // RFC 5280 section 5.3.1
}

func (e *RevokedError) Error() string {
	return fmt.Sprintf("its certificate %s was revoked on %s, reason: %s", e.Subject, day(e.At), reason(e.Reason))
}

// reason returns the name of a CRLReason (RFC 5280 section 5.3.1).
func reason(code int) string {
	names := []string{"unspecified", "key compromise", "ca compromise", "affiliation changed", "superseded", "cessation of operation", "certificate hold", "7", "remove from crl", "privilege withdrawn", "aa compromise"}
	if code >= 0 && code < len(names) {
		return names[code]
	}
	return fmt.Sprint(code)
}

// status says what is known of a certificate, the better the higher.
type status int

const (
	skipped status = iota // there is no CRL and no responder to ask
	failed                // there is no usable answer
	stale                 // the answer is too old
	good                  // it is not revoked
)

// ErrNoSource is the cause where neither a CRL nor an OCSP responder is known for a
// certificate whose status has to be known.
var ErrNoSource = errors.New("no CRL or OCSP responder is known")

// revoked says why a path is refused: one of its certificates, the anchor excepted,
// is revoked, or its status is not known well enough for the policy.
func (s *Store) revoked(ctx context.Context, path []*x509.Certificate, sent Presented, policy Revocation, now time.Time) error {
	for i, c := range path[:len(path)-1] {
		st, err := s.status(ctx, c, path[i+1], sent, now)
		if err != nil {
			return err
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("its certificate %q was not checked to the end: %w", c.Subject, ctx.Err())
		}
		switch {
		case st == good || policy == Relaxed || policy == IfURI && st == skipped:
			continue
		case st == stale:
			return fmt.Errorf("the state of its certificate %q is known only from an old CRL or OCSP response, which revocation = %s does not allow", c.Subject, policy)
		case st == skipped:
			return fmt.Errorf("%w for its certificate %q, which revocation = %s does not allow", ErrNoSource, c.Subject, policy)
		}
		return fmt.Errorf("neither a CRL nor an OCSP response can be had for its certificate %q, which revocation = %s does not allow", c.Subject, policy)
	}
	return nil
}

// String returns the value of the setting.
func (r Revocation) String() string { return [...]string{"relaxed", "ifuri", "strict"}[r] }

// status returns the status of a certificate by OCSP, else by CRLs. It is a
// *RevokedError where the certificate was revoked.
func (s *Store) status(ctx context.Context, c, issuer *x509.Certificate, sent Presented, now time.Time) (status, error) {
	log.Infof(s.log, "checking certificate status of %q", c.Subject)
	best := skipped
	if !s.cfg.NoOCSP {
		st, err := s.ocspStatus(ctx, c, issuer, sent.OCSP, now)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	if !s.cfg.NoCRL {
		st, err := s.crlStatus(ctx, c, issuer, sent.CRLs, now)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	s.log.Info("certificate status is not available")
	return best, nil
}
