package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// ParseCRL decodes a CRL in DER or PEM.
func ParseCRL(b []byte) (*x509.RevocationList, error) {
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	return x509.ParseRevocationList(b)
}

// LoadCRL reads a CRL file.
func LoadCRL(file string) (*x509.RevocationList, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := limited(f)
	if err != nil {
		return nil, err
	}
	return ParseCRL(b)
}

// crlStatus looks up the certificate in the newest CRL of its issuer: one that the
// peer sent, one from a file, or one that was fetched; where none of these is fresh
// it fetches one. A list that is not complete for c vouches for nothing, but what a
// newer one of them revokes is revoked.
func (s *Store) crlStatus(ctx context.Context, c, issuer *x509.Certificate, sent [][]byte, now time.Time) (status, error) {
	var best, fetched, part *x509.RevocationList
	own := s.crlNames(c, issuer)
	consider := func(l *x509.RevocationList) {
		if l == nil || now.Before(l.ThisUpdate) {
			return
		}
		switch scopeOf(l, c, issuer, own) {
		case complete:
			if best == nil || newer(l, best) {
				best = l
			}
		case incomplete:
			if revokedBy(l, c) != nil && (part == nil || newer(l, part)) {
				part = l
			}
		}
	}
	for _, b := range sent {
		if l, err := x509.ParseRevocationList(b); err == nil {
			consider(l)
		}
	}
	for _, l := range s.cfg.CRLs {
		consider(l)
	}
	s.mu.Lock()
	cached := s.crls[string(issuer.RawSubjectPublicKeyInfo)]
	s.mu.Unlock()
	consider(cached)
	uris := s.uris(issuer, func(a Authority) []string { return a.CRLURIs }, c.CRLDistributionPoints, FromPeer)
	if best == nil || !fresh(best, now) {
		for _, r := range uris {
			uri := r.URI
			log.Infof(s.log, "fetching crl from '%s' ...", uri)
			b := s.fetch(ctx, r)
			if b == nil {
				continue
			}
			l, err := ParseCRL(b)
			if err != nil || scopeOf(l, c, issuer, own) == foreign {
				log.Infof(s.log, "crl from '%s' is none of issuer %q", uri, issuer.Subject)
				continue
			}
			if consider(l); best == l {
				fetched = l
			}
			if best != nil && fresh(best, now) {
				break
			}
		}
	}
	if part != nil && (best == nil || newer(part, best)) {
		return good, s.revokedError(revokedBy(part, c), c)
	}
	switch {
	case best == nil && len(uris) == 0:
		return skipped, nil
	case best == nil:
		return failed, nil
	}
	s.mu.Lock()
	s.crls[string(issuer.RawSubjectPublicKeyInfo)] = best
	s.mu.Unlock()
	if best == fetched && s.cfg.SaveCRL != nil {
		s.cfg.SaveCRL(issuer, best.Raw)
	}
	if e := revokedBy(best, c); e != nil {
		return good, s.revokedError(e, c)
	}
	if !fresh(best, now) {
		log.Infof(s.log, "crl is stale: since %s", day(until(best)))
		return stale, nil
	}
	s.log.Info("certificate status is good")
	return good, nil
}

// revokedBy returns the entry that revokes the certificate; nil where none does.
func revokedBy(l *x509.RevocationList, c *x509.Certificate) *x509.RevocationListEntry {
	const removeFromCRL = 8 // RFC 5280 section 5.3.1
	for i := range l.RevokedCertificateEntries {
		if e := &l.RevokedCertificateEntries[i]; e.SerialNumber.Cmp(c.SerialNumber) == 0 && e.ReasonCode != removeFromCRL {
			return e
		}
	}
	return nil
}

// revokedError logs the entry and returns it as an error.
func (s *Store) revokedError(e *x509.RevocationListEntry, c *x509.Certificate) error {
	log.Infof(s.log, "certificate was revoked on %s, reason: %s", day(e.RevocationTime), reason(e.ReasonCode))
	return &RevokedError{Subject: fmt.Sprintf("%q", c.Subject), At: e.RevocationTime, Reason: e.ReasonCode}
}

// maxCRLAge is the greatest age of a CRL without nextUpdate.
const maxCRLAge = 7 * 24 * time.Hour

// until returns the time until which the CRL is fresh.
func until(l *x509.RevocationList) time.Time {
	if l.NextUpdate.IsZero() {
		return l.ThisUpdate.Add(maxCRLAge)
	}
	return l.NextUpdate
}

// fresh reports whether the CRL is valid at the time.
func fresh(l *x509.RevocationList, now time.Time) bool { return now.Before(until(l)) }

// newer reports whether a was issued after b.
func newer(a, b *x509.RevocationList) bool {
	number := func(l *x509.RevocationList) *big.Int {
		if l.Number == nil {
			return new(big.Int)
		}
		return l.Number
	}
	if d := number(a).Cmp(number(b)); d != 0 {
		return d > 0
	}
	return a.ThisUpdate.After(b.ThisUpdate)
}
