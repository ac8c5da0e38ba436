package trust

import (
	"bytes"
	"context"
	gocrypto "crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/gotnc/gotnc/internal/base/log"
)

// ocspEntry is the content of a verified response.
type ocspEntry struct {
	status  int
	at      time.Time // of revocation
	reason  int
	updated time.Time
	until   time.Time // nextUpdate; zero where the response has none
}

// maxOCSPAge is the greatest age of a response without nextUpdate.
const maxOCSPAge = 24 * time.Hour

// ocspSkew is how much the clocks of responder and client may differ.
const ocspSkew = 5 * time.Minute

// ocspStatus returns the status by the responses that the peer sent, else by one
// that was fetched before, else by asking the responders.
func (s *Store) ocspStatus(ctx context.Context, c, issuer *x509.Certificate, sent [][]byte, now time.Time) (status, error) {
	key := string(issuer.RawSubjectPublicKeyInfo) + c.SerialNumber.String()
	best := skipped
	try := func(b []byte) (status, error) {
		e, err := s.readOCSP(b, c, issuer, now)
		if err != nil {
			log.Infof(s.log, "ocsp response is not usable: %v", err)
			return failed, nil
		}
		s.mu.Lock()
		if known, ok := s.ocsps[key]; ok && known.updated.After(e.updated) {
			e = known // the peer may send an old response that is still fresh
		}
		s.ocsps[key] = e
		s.mu.Unlock()
		return s.judgeOCSP(e, c, now)
	}
	for _, b := range sent {
		if !about(b, c) {
			continue
		}
		st, err := try(b)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	s.mu.Lock()
	e, ok := s.ocsps[key]
	s.mu.Unlock()
	if ok {
		st, err := s.judgeOCSP(e, c, now)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	uris := s.uris(issuer, func(a Authority) []string { return a.OCSPURIs }, c.OCSPServer, FromPeer)
	if len(uris) == 0 {
		return best, nil
	}
	req, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: gocrypto.SHA1})
	if err != nil {
		return failed, nil
	}
	best = max(best, failed)
	for _, r := range uris {
		log.Infof(s.log, "requesting ocsp status from '%s' ...", r.URI)
		r.Body = req
		b := s.fetch(ctx, r)
		if b == nil {
			continue
		}
		st, err := try(b)
		if err != nil || st == good {
			return st, err
		}
		best = max(best, st)
	}
	return best, nil
}

// Response fetches an OCSP response about the client's own certificate, which is
// sent to a gateway that asks for it (RFC 4806); nil where there is no usable one.
func (s *Store) Response(ctx context.Context, c, issuer *x509.Certificate, now time.Time) []byte {
	req, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: gocrypto.SHA1})
	if err != nil {
		return nil
	}
	for _, r := range s.uris(issuer, func(a Authority) []string { return a.OCSPURIs }, c.OCSPServer, FromOwn) {
		log.Infof(s.log, "requesting ocsp status from '%s' ...", r.URI)
		r.Body = req
		b := s.fetch(ctx, r)
		if b == nil {
			continue
		}
		if _, err := s.readOCSP(b, c, issuer, now); err == nil {
			return b
		}
	}
	return nil
}

// about reports whether a response of the peer is about this certificate: it may
// send one for each certificate of its path.
func about(b []byte, c *x509.Certificate) bool {
	r, err := ocsp.ParseResponseForCert(b, c, nil)
	return err == nil && r.SerialNumber.Cmp(c.SerialNumber) == 0
}

// readOCSP verifies a response: the issuer or a responder that it authorized signed
// it (RFC 6960 section 4.2.2.2), it is about c, and it is not from the future.
func (s *Store) readOCSP(b []byte, c, issuer *x509.Certificate, now time.Time) (ocspEntry, error) {
	r, err := s.parseOCSP(b, c, issuer, now)
	if err != nil {
		return ocspEntry{}, err
	}
	if err := checkCertID(r.TBSResponseData, c, issuer); err != nil {
		return ocspEntry{}, err
	}
	if r.ThisUpdate.After(now.Add(ocspSkew)) {
		return ocspEntry{}, fmt.Errorf("it is from the future, %s", day(r.ThisUpdate))
	}
	if r.Status == ocsp.Unknown {
		return ocspEntry{}, fmt.Errorf("the responder does not know the certificate")
	}
	return ocspEntry{status: r.Status, at: r.RevokedAt, reason: r.RevocationReason, updated: r.ThisUpdate, until: r.NextUpdate}, nil
}

// parseOCSP decodes a response and verifies its signer.
func (s *Store) parseOCSP(b []byte, c, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	for _, d := range s.cfg.Responders {
		if r, err := ocsp.ParseResponse(b, nil); err == nil && r.CheckSignatureFrom(d) == nil && !now.Before(d.NotBefore) && !now.After(d.NotAfter) {
			if r, err = ocsp.ParseResponseForCert(b, c, nil); err == nil {
				return r, nil
			}
		}
	}
	r, err := ocsp.ParseResponseForCert(b, c, issuer)
	if err != nil {
		return nil, err
	}
	if d := r.Certificate; d != nil && !bytes.Equal(d.Raw, issuer.Raw) {
		switch {
		case !slices.Contains(d.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
			return nil, fmt.Errorf("%q may not sign OCSP responses", d.Subject)
		case now.Before(d.NotBefore) || now.After(d.NotAfter):
			return nil, fmt.Errorf("the certificate of responder %q is not valid now", d.Subject)
		}
	}
	return r, nil
}

// judgeOCSP returns the status that a response gives at the time.
func (s *Store) judgeOCSP(e ocspEntry, c *x509.Certificate, now time.Time) (status, error) {
	until := e.until
	if until.IsZero() {
		until = e.updated.Add(maxOCSPAge)
	}
	switch {
	case e.status == ocsp.Revoked:
		log.Infof(s.log, "certificate was revoked on %s, reason: %s", day(e.at), reason(e.reason))
		return good, &RevokedError{Subject: fmt.Sprintf("%q", c.Subject), At: e.at, Reason: e.reason}
	case now.After(until.Add(ocspSkew)):
		log.Infof(s.log, "ocsp response is stale: since %s", day(until))
		return stale, nil
	}
	s.log.Info("certificate status is good")
	return good, nil
}
