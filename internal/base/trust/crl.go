package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"slices"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// ParseCRL reads a CRL, DER or PEM.
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

// crlStatus looks the certificate up in the newest CRL of its issuer: one that
// the peer sent, of a file, fetched before, or where none of these is fresh
// fetched now.
func (s *Store) crlStatus(ctx context.Context, c, issuer *x509.Certificate, sent [][]byte, now time.Time) (status, error) {
	var best, fetched *x509.RevocationList
	take := func(l *x509.RevocationList) {
		if l != nil && usable(l, c, issuer) && !now.Before(l.ThisUpdate) && (best == nil || newer(l, best)) {
			best = l
		}
	}
	for _, b := range sent {
		if l, err := x509.ParseRevocationList(b); err == nil {
			take(l)
		}
	}
	for _, l := range s.cfg.CRLs {
		take(l)
	}
	s.mu.Lock()
	cached := s.crls[string(issuer.RawSubjectPublicKeyInfo)]
	s.mu.Unlock()
	take(cached)
	uris := s.uris(issuer, func(a Authority) []string { return a.CRLURIs }, c.CRLDistributionPoints)
	if best == nil || !fresh(best, now) {
		for _, uri := range uris {
			log.Infof(s.log, "fetching crl from '%s' ...", uri)
			b := s.fetch(ctx, uri, nil)
			if b == nil {
				continue
			}
			l, err := ParseCRL(b)
			if err != nil || !usable(l, c, issuer) {
				log.Infof(s.log, "crl from '%s' is none of issuer %q", uri, issuer.Subject)
				continue
			}
			if take(l); best == l {
				fetched = l
			}
			if best != nil && fresh(best, now) {
				break
			}
		}
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
	for _, e := range best.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 && e.ReasonCode != 8 {
			log.Infof(s.log, "certificate was revoked on %s, reason: %s", day(e.RevocationTime), reason(e.ReasonCode))
			return good, &RevokedError{Subject: fmt.Sprintf("%q", c.Subject), At: e.RevocationTime, Reason: e.ReasonCode}
		}
	}
	if !fresh(best, now) {
		log.Infof(s.log, "crl is stale: since %s", day(best.NextUpdate))
		return stale, nil
	}
	s.log.Info("certificate status is good")
	return good, nil
}

// Extensions of CRLs (RFC 5280 §5.2).
var (
	oidDeltaCRL     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// usable reports whether the CRL is a whole one that the issuer signed, and
// speaks of c. Delta CRLs and those of a part of the certificates are not.
func usable(l *x509.RevocationList, c, issuer *x509.Certificate) bool {
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) {
		return false
	}
	for _, e := range l.Extensions {
		if e.Id.Equal(oidDeltaCRL) || e.Id.Equal(oidIssuingPoint) && partial(e.Value, c.CRLDistributionPoints) {
			return false
		}
	}
	return l.CheckSignatureFrom(issuer) == nil
}

// partial reports whether an IssuingDistributionPoint limits the CRL to some
// certificates or reasons, or speaks for other issuers (RFC 5280 §5.2.5). A CA
// that cuts its list into parts gives each a name, which stands in the
// certificates of that part: own are those of the certificate in question
// (RFC 5280 §6.3.3 (b) (2) (i)).
func partial(der []byte, own []string) bool {
	var p struct {
		Point struct {
			Full []asn1.RawValue `asn1:"optional,tag:0"`
			Rel  asn1.RawValue   `asn1:"optional,tag:1"`
		} `asn1:"optional,tag:0"`
		OnlyUser   bool           `asn1:"optional,tag:1"`
		OnlyCA     bool           `asn1:"optional,tag:2"`
		Reasons    asn1.BitString `asn1:"optional,tag:3"`
		Indirect   bool           `asn1:"optional,tag:4"`
		OnlyOfAttr bool           `asn1:"optional,tag:5"`
	}
	rest, err := asn1.Unmarshal(der, &p)
	const uri = 6 // of GeneralName
	named, ours := false, false
	for _, n := range p.Point.Full {
		if n.Class == asn1.ClassContextSpecific && n.Tag == uri {
			named, ours = true, ours || slices.Contains(own, string(n.Bytes))
		}
	}
	return err != nil || len(rest) > 0 || named && !ours && len(own) > 0 || p.OnlyUser || p.OnlyCA || p.Reasons.BitLength > 0 || p.Indirect || p.OnlyOfAttr
}

func fresh(l *x509.RevocationList, now time.Time) bool {
	return l.NextUpdate.IsZero() || now.Before(l.NextUpdate)
}

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
