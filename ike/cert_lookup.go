package ike

import (
	"context"
	"crypto/sha1"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of the certificates that a gateway names by URL instead of sending them.
const (
	maxLookups    = 4       // URLs that are fetched for one AUTH
	maxLookedUp   = 1 << 18 // octets that a URL may lead to
	maxBundleCRLs = 4       // CRLs of all bundles
)

// certLookup fetches what CERT payloads of a hash and a URL stand for (RFC 7296
// section 3.6). It is part of a VerifyRequest, and runs in its Do.
type certLookup struct {
	fetch  func(ctx context.Context, url string) ([]byte, error)
	logger *slog.Logger
	err    error           // why something could not be fetched
	certs  []*message.Cert // in the gateway's order, those that came whole among them
}

// hashAndURL names a certificate by its SHA-1 hash and where it can be fetched; false
// where the URL cannot be sent.
func hashAndURL(der []byte, url string) (*message.Cert, bool) {
	b, err := message.HashURL{Hash: sha1.Sum(der), URL: url}.AppendBinary(nil)
	return &message.Cert{Encoding: message.CertHashURL, Data: b}, err == nil
}

// newCertLookup returns nil where all certificates of msg came whole, or no URL may be
// fetched.
func newCertLookup(c *core, msg *message.Message) *certLookup {
	if c.cfg.Authentication.FetchCert == nil {
		return nil
	}
	l := &certLookup{fetch: c.cfg.Authentication.FetchCert, logger: c.ike}
	named := false
	for _, p := range message.All[*message.Cert](msg.Payloads) {
		named = named || p.Encoding == message.CertHashURL || p.Encoding == message.CertHashURLBundle
		l.certs = append(l.certs, p)
	}
	if !named {
		return nil
	}
	return l
}

// complete adds what the URLs lead to, in the gateway's order. What cannot be fetched
// is left out: whether the rest is enough is the Verifier's concern.
func (l *certLookup) complete(ctx context.Context, p *PeerCertificates) {
	p.Certs = nil
	fetched := 0
	for _, c := range l.certs {
		switch c.Encoding {
		case message.CertX509Signature:
			p.Certs = append(p.Certs, c.Data)
		case message.CertHashURL, message.CertHashURLBundle:
			if fetched++; fetched > maxLookups {
				log.Infof(l.logger, "the gateway names more than %d certificates by URL, ignoring the rest", maxLookups)
				return
			}
			if err := l.add(ctx, p, c); err != nil {
				log.Warnf(l.logger, "fetching a certificate of the gateway failed: %v", err)
				l.err = err
			}
		}
	}
}

// add fetches what one payload stands for.
func (l *certLookup) add(ctx context.Context, p *PeerCertificates, c *message.Cert) error {
	h, err := message.ParseHashURL(c.Data)
	if err != nil {
		return err
	}
	// "… the only supported scheme is 'http'"
	if !strings.HasPrefix(strings.ToLower(h.URL), "http://") {
		return fmt.Errorf("%q is no http URL", h.URL)
	}
	log.Infof(l.logger, "fetching certificate from '%s'", h.URL)
	b, err := l.fetch(ctx, h.URL)
	switch {
	case err != nil:
		return err
	case len(b) > maxLookedUp:
		return fmt.Errorf("%s has %d octets, at most %d are accepted", h.URL, len(b), maxLookedUp)
	case sha1.Sum(b) != h.Hash:
		return fmt.Errorf("%s has another hash than the gateway says", h.URL)
	case c.Encoding == message.CertHashURL:
		p.Certs = append(p.Certs, b)
		return nil
	}
	bundle, err := message.ParseCertBundle(b)
	if err != nil {
		return fmt.Errorf("%s: %w", h.URL, err)
	}
	p.Certs = append(p.Certs, bundle.Certs...)
	p.CRLs = append(p.CRLs, bundle.CRLs[:min(len(bundle.CRLs), maxBundleCRLs)]...)
	return nil
}
