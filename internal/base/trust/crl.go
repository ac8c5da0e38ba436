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
// it fetches one.
func (s *Store) crlStatus(ctx context.Context, c, issuer *x509.Certificate, sent [][]byte, now time.Time) (status, error) {
	var best, fetched *x509.RevocationList
	consider := func(l *x509.RevocationList) {
		if l != nil && usable(l, c, issuer) && !now.Before(l.ThisUpdate) && (best == nil || newer(l, best)) {
			best = l
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
			if err != nil || !usable(l, c, issuer) {
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

// Extensions of CRLs (RFC 5280 section 5.2).
var (
	oidDeltaCRL     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// usable reports whether the issuer signed the CRL and it covers c. Delta CRLs are
// not usable, nor are CRLs of other certificates than c.
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

// partial reports whether an IssuingDistributionPoint limits the CRL to other
// certificates, to some reasons, or covers other issuers (RFC 5280 section 5.2.5).
// A CA that splits its list gives each part a name, which the certificates of that
// part contain: own are the names in the certificate in question (RFC 5280 section
// 6.3.3 (b) (2) (i)).
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

// fresh reports whether the CRL is valid at the time.
func fresh(l *x509.RevocationList, now time.Time) bool {
	return l.NextUpdate.IsZero() || now.Before(l.NextUpdate)
}

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
