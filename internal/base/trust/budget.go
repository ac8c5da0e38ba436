package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of the fetching for one verification. They hold over all URIs of all paths
// of a certificate.
const (
	VerifyTimeout = 30 * time.Second
	maxURIs       = 8 // of one certificate and issuer
	maxFetches    = 16
	maxFetched    = 64 << 20 // octets
)

var errBudget = errors.New("too much was fetched for one certificate")

// budget is what may still be fetched for one verification. It belongs to one
// goroutine.
type budget struct{ fetches, octets int }

type budgetKey struct{}

// newBudget returns a context for one verification, with what may be fetched in it.
func newBudget(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(ctx, budgetKey{}, &budget{maxFetches, maxFetched})
	return context.WithTimeout(ctx, VerifyTimeout)
}

// uris returns at most maxURIs URIs: those that the configuration names for the
// issuer, then those of the certificate, which is of the origin.
func (s *Store) uris(issuer *x509.Certificate, of func(Authority) []string, named []string, origin Origin) (out []Request) {
	for _, a := range s.cfg.Authorities {
		if a.CA.Equal(issuer) {
			for _, uri := range of(a) {
				out = append(out, Request{URI: uri, Origin: FromConfig})
			}
		}
	}
	for _, uri := range named {
		out = append(out, Request{URI: uri, Origin: origin})
	}
	return out[:min(len(out), maxURIs)]
}

// fetch returns the content of a URI. It logs a failure and returns nil.
func (s *Store) fetch(ctx context.Context, r Request) []byte {
	if s.cfg.Fetcher == nil {
		return nil
	}
	left, limited := ctx.Value(budgetKey{}).(*budget)
	err := ctx.Err()
	if err == nil && limited && (left.fetches <= 0 || left.octets <= 0) {
		err = errBudget
	}
	var b []byte
	if err == nil {
		b, err = s.cfg.Fetcher.Fetch(ctx, r)
	}
	if limited {
		left.fetches, left.octets = left.fetches-1, left.octets-len(b)
	}
	if err != nil {
		log.Infof(s.log, "fetching from '%s' failed: %v", r.URI, err)
		return nil
	}
	return b
}
