// Package trust decides on certificates: paths from an end entity over
// intermediate CAs to a trust anchor, and revocation by CRLs (RFC 5280) and
// OCSP (RFC 6960). It reaches the network only through the Fetcher that it is
// given, and only for URIs of certificates whose path is verified.
package trust

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Fetcher gets revocation data.
type Fetcher interface {
	// Fetch gets what uri names; with a body it is posted as an OCSP request.
	// Time and size are bounded by the implementation.
	Fetch(ctx context.Context, uri string, body []byte) ([]byte, error)
}

// Authority is a CA for which the configuration names where revocation data
// is.
type Authority struct {
	CA                *x509.Certificate
	CRLURIs, OCSPURIs []string
}

// Config of a Store.
type Config struct {
	// CAs are trusted: those that are self-signed, or whose issuer is not among
	// them, are anchors; the others are links of paths.
	CAs []*x509.Certificate
	// Trusted are end entity certificates that need no path.
	Trusted     []*x509.Certificate
	Authorities []Authority
	// Responders are trusted to sign OCSP responses about every certificate
	// (x509ocsp).
	Responders []*x509.Certificate
	CRLs       []*x509.RevocationList // from files
	Fetcher    Fetcher                // nil: nothing is fetched
	NoCRL      bool                   // of distribution points and files (enable_crl = no)
	NoOCSP     bool                   // enable_ocsp = no
	// SaveCRL, where set, is given each CRL that was fetched and is the newest of
	// its issuer (cache_crls).
	SaveCRL func(issuer *x509.Certificate, der []byte)
	Log     *slog.Logger // strongSwan's lines; nil discards
}

// Store is what decisions rest on, with a cache of revocation data. It is safe
// for concurrent use.
type Store struct {
	cfg     Config
	log     *slog.Logger
	anchors *x509.CertPool
	links   []*x509.Certificate

	mu    sync.Mutex
	crls  map[string]*x509.RevocationList // by issuer
	ocsps map[string]ocspEntry            // by issuer and serial
}

// New returns a Store.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg, log: log.Group(cfg.Log, log.CFG), anchors: x509.NewCertPool(), crls: map[string]*x509.RevocationList{}, ocsps: map[string]ocspEntry{}}
	for _, a := range cfg.Authorities {
		s.cfg.CAs = append(s.cfg.CAs, a.CA)
	}
	for _, c := range s.cfg.CAs {
		if s.linked(c) {
			s.links = append(s.links, c)
		} else {
			s.anchors.AddCert(c)
		}
	}
	return s
}

// linked reports whether another CA of the store issued c.
func (s *Store) linked(c *x509.Certificate) bool {
	if selfSigned(c) {
		return false
	}
	for _, ca := range s.cfg.CAs {
		if !ca.Equal(c) && string(ca.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(c) == nil
}

// Policy is what one peer has to fulfil beyond a path.
type Policy struct {
	Revocation Revocation
	// CAs, where not empty: the path has to lead over one of them.
	CAs []*x509.Certificate
	// Certs, where not empty: the end entity has to be one of them.
	Certs []*x509.Certificate
	// KeyUsages: the path has to allow one of them; empty = any.
	KeyUsages []x509.ExtKeyUsage
	// Holds reports whether a certificate is the peer's. Required.
	Holds func(*x509.Certificate) error
	// Chain, where set, decides on the keys and signatures of a path, end entity
	// first.
	Chain func([]*x509.Certificate) error
}

// Shown is what a peer sent.
type Shown struct {
	Certs []*x509.Certificate // end entity first
	CRLs  [][]byte            // DER
	OCSP  [][]byte            // responses, DER
}

// Verify returns the path of the peer's certificate, end entity first. Where the
// peer sent no certificate, a trusted one that it holds will do. The error is a
// clause that begins with "its" or "it".
func (s *Store) Verify(ctx context.Context, shown Shown, p Policy, now time.Time) ([]*x509.Certificate, error) {
	leaf, err := s.leaf(shown.Certs, p)
	if err != nil {
		return nil, err
	}
	if err := p.Holds(leaf); err != nil {
		return nil, err
	}
	if len(p.Certs) > 0 && !contains(p.Certs, leaf) {
		return nil, fmt.Errorf("its certificate %q is none of those that remote.certs names", leaf.Subject)
	}
	if len(p.CAs) == 0 && (contains(p.Certs, leaf) || contains(s.cfg.Trusted, leaf)) {
		log.Infof(s.log, "using trusted certificate %q", leaf.Subject)
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			return nil, fmt.Errorf("its certificate %q is valid from %s to %s, now it is %s", leaf.Subject, day(leaf.NotBefore), day(leaf.NotAfter), day(now))
		}
		if p.Chain != nil {
			if err := p.Chain([]*x509.Certificate{leaf}); err != nil {
				return nil, err
			}
		}
		// It needs no path; where there is one, it may have been revoked.
		var revoked *RevokedError
		if paths, err := s.paths(leaf, shown.Certs, p, now); err == nil && !leaf.Equal(paths[0][len(paths[0])-1]) {
			if err := s.revoked(ctx, paths[0], shown, p.Revocation, now); errors.As(err, &revoked) {
				return nil, err
			}
		}
		return []*x509.Certificate{leaf}, nil
	}
	log.Infof(s.log, "using certificate %q", leaf.Subject)
	paths, err := s.paths(leaf, shown.Certs, p, now)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if p.Chain != nil {
			if err = p.Chain(path); err != nil {
				continue
			}
		}
		if err = s.revoked(ctx, path, shown, p.Revocation, now); err == nil {
			log.Infof(s.log, "reached root CA %q with a path length of %d", path[len(path)-1].Subject, len(path)-2)
			return path, nil
		}
	}
	return nil, err
}

// leaf is the peer's certificate.
func (s *Store) leaf(sent []*x509.Certificate, p Policy) (*x509.Certificate, error) {
	if len(sent) > 0 {
		return sent[0], nil
	}
	for _, own := range [][]*x509.Certificate{p.Certs, s.cfg.Trusted} {
		for _, c := range own {
			if p.Holds(c) == nil {
				return c, nil
			}
		}
	}
	return nil, fmt.Errorf("it sent no certificate: let the gateway send it (send_cert = always), or set send_certreq")
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, o := range list {
		if o.Equal(c) {
			return true
		}
	}
	return false
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// KeyHash is what a CERTREQ payload names a CA by: the SHA-1 hash of its
// SubjectPublicKeyInfo (RFC 7296 §3.7).
func KeyHash(ca *x509.Certificate) []byte {
	sum := sha1.Sum(ca.RawSubjectPublicKeyInfo)
	return sum[:]
}
