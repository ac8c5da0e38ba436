// Package trust decides on certificates: paths from an end entity over
// intermediate CAs to a trust anchor, and revocation by CRLs (RFC 5280) and
// OCSP (RFC 6960). It reaches the network only through its Fetcher, and only for
// URIs of certificates whose path is verified.
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
	// Fetch returns the content of the URI. The implementation bounds time and
	// size, ends with ctx, and heeds the origin.
	Fetch(ctx context.Context, r Request) ([]byte, error)
}

// Authority is a CA with the URIs of its revocation data that the configuration
// names.
type Authority struct {
	CA                *x509.Certificate
	CRLURIs, OCSPURIs []string
}

// Config says what a Store trusts.
type Config struct {
	// CAs are trusted: those that are self-signed, or whose issuer is not among
	// them, are anchors; the others are intermediates of paths.
	CAs []*x509.Certificate
	// Trusted are end entity certificates that are trusted without a path.
	Trusted     []*x509.Certificate
	Authorities []Authority
	// Responders are trusted to sign OCSP responses about every certificate
	// (x509ocsp).
	Responders []*x509.Certificate
	CRLs       []*x509.RevocationList // from files
	Fetcher    Fetcher                // nil fetches nothing
	NoCRL      bool                   // use no CRLs (enable_crl = no)
	NoOCSP     bool                   // use no OCSP (enable_ocsp = no)
	// SaveCRL is called with each CRL that was fetched and is the newest of its
	// issuer (cache_crls); nil saves none.
	SaveCRL func(issuer *x509.Certificate, der []byte)
	Logger  *slog.Logger // strongSwan's lines; nil discards
}

// Store decides on certificates and caches revocation data. It is safe for
// concurrent use.
type Store struct {
	cfg     Config
	log     *slog.Logger
	anchors *x509.CertPool
	links   []*x509.Certificate // intermediates

	mu    sync.Mutex
	crls  map[string]*x509.RevocationList // by issuer
	ocsps map[string]ocspEntry            // by issuer and serial
}

// New returns a Store.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg, log: log.Group(cfg.Logger, log.CFG), anchors: x509.NewCertPool(), crls: map[string]*x509.RevocationList{}, ocsps: map[string]ocspEntry{}}
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

// linked reports whether another CA of the store issued c, which is then an
// intermediate.
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

// Policy is what one peer's certificate has to fulfil besides having a path.
type Policy struct {
	Revocation Revocation
	// CAs limits paths to those that contain one of them; empty allows every path.
	CAs []*x509.Certificate
	// Certs limits the end entity to one of them; empty allows every one.
	Certs []*x509.Certificate
	// KeyUsages limits paths to those that allow one of them; empty allows any.
	KeyUsages []x509.ExtKeyUsage
	// MatchesPeer says why a certificate is not the peer's: it names another
	// identity. Required.
	MatchesPeer func(*x509.Certificate) error
	// Chain says why the keys and signatures of a path, end entity first, are not
	// allowed; nil allows all.
	Chain func([]*x509.Certificate) error
}

// Presented is what a peer sent.
type Presented struct {
	Certs []*x509.Certificate // end entity first
	CRLs  [][]byte            // DER
	OCSP  [][]byte            // responses, DER
}

// ErrNoCertificate is returned where the peer sent no certificate and no trusted one
// matches it.
var ErrNoCertificate = errors.New("it sent no certificate")

// Verify returns the path of the peer's certificate, end entity first. Where the
// peer sent no certificate, a trusted one that matches the peer is used. The error
// is a clause that begins with "its" or "it". It ends with ctx, fetches for no
// longer than VerifyTimeout, at most 16 times and at most 64 MiB.
func (s *Store) Verify(ctx context.Context, sent Presented, p Policy, now time.Time) ([]*x509.Certificate, error) {
	ctx, cancel := newBudget(ctx)
	defer cancel()
	leaf, err := s.leaf(sent.Certs, p)
	if err != nil {
		return nil, err
	}
	if err := p.MatchesPeer(leaf); err != nil {
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
		if err := strong([]*x509.Certificate{leaf}); err != nil {
			return nil, err
		}
		if p.Chain != nil {
			if err := p.Chain([]*x509.Certificate{leaf}); err != nil {
				return nil, err
			}
		}
		// It needs no path. But where there is one, it may have been revoked.
		var revoked *RevokedError
		if paths, err := s.paths(leaf, sent.Certs, p, now); err == nil && !leaf.Equal(paths[0][len(paths[0])-1]) {
			if err := s.revoked(ctx, paths[0], sent, p.Revocation, now); errors.As(err, &revoked) {
				return nil, err
			}
		}
		return []*x509.Certificate{leaf}, nil
	}
	log.Infof(s.log, "using certificate %q", leaf.Subject)
	paths, err := s.paths(leaf, sent.Certs, p, now)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if p.Chain != nil {
			if err = p.Chain(path); err != nil {
				continue
			}
		}
		if err = s.revoked(ctx, path, sent, p.Revocation, now); err == nil {
			log.Infof(s.log, "reached root CA %q with a path length of %d", path[len(path)-1].Subject, len(path)-2)
			return path, nil
		}
	}
	return nil, err
}

// leaf returns the peer's certificate: the first that it sent, else a trusted one
// that matches it.
func (s *Store) leaf(sent []*x509.Certificate, p Policy) (*x509.Certificate, error) {
	if len(sent) > 0 {
		return sent[0], nil
	}
	for _, trusted := range [][]*x509.Certificate{p.Certs, s.cfg.Trusted} {
		for _, c := range trusted {
			if p.MatchesPeer(c) == nil {
				return c, nil
			}
		}
	}
	return nil, ErrNoCertificate
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

// KeyHash returns the name of a CA in a CERTREQ payload: the SHA-1 hash of its
// SubjectPublicKeyInfo (RFC 7296 section 3.7).
func KeyHash(ca *x509.Certificate) []byte {
	sum := sha1.Sum(ca.RawSubjectPublicKeyInfo)
	return sum[:]
}
