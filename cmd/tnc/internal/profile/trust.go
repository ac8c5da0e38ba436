package profile

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// trustConfig returns what certificates under the CAs are checked with, as
// charon.plugins.revocation says.
func (p *Profile) trustConfig(cas []*x509.Certificate, logger *slog.Logger) trust.Config {
	sc := p.Strongswan
	return trust.Config{
		CAs: cas, Logger: logger, Fetcher: p.fetcher(),
		NoCRL: !settings.EnableCRL.In(sc), NoOCSP: !settings.EnableOCSP.In(sc),
	}
}

func (p *Profile) fetcher() trust.HTTP {
	return trust.HTTP{Timeout: settings.FetchTimeout.In(p.Strongswan), PrivateAddresses: settings.FetchPrivate.In(p.Strongswan)}
}

// fetchCert fetches a certificate that a gateway names by URL.
func (p *Profile) fetchCert(ctx context.Context, url string) ([]byte, error) {
	return p.fetcher().Fetch(ctx, trust.Request{URI: url, Origin: trust.FromPeer})
}

// VerifyTLS checks the certificates of a TLS server, end entity first, with the
// OCSP response that came along. What it fetches ends with ctx.
type VerifyTLS func(ctx context.Context, certs []*x509.Certificate, ocsp []byte) error

// NewVerifyTLS returns the check of servers under the CAs. It holds what policy
// says; crls count beside those that can be fetched.
func (p *Profile) NewVerifyTLS(cas []*x509.Certificate, crls []*x509.RevocationList, policy trust.Policy, logger *slog.Logger) VerifyTLS {
	cfg := p.trustConfig(cas, logger)
	cfg.CRLs = crls
	return verifyTLS(trust.New(cfg), policy)
}

func verifyTLS(store *trust.Store, policy trust.Policy) VerifyTLS {
	policy.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return func(ctx context.Context, certs []*x509.Certificate, ocsp []byte) error {
		sent := trust.Presented{Certs: certs}
		if len(ocsp) > 0 {
			sent.OCSP = [][]byte{ocsp}
		}
		_, err := store.Verify(ctx, sent, policy, time.Now())
		return err
	}
}

// store opens the private keys and certificates once.
func (b *Builder) store() *credential.Store {
	b.opened.Do(func() {
		b.tokens = tpmkey.New(tpmkey.FromSettings(b.Strongswan, b.logger))
		b.credentials = credential.Open(b.Swanctl, b.Roots.Certs, b.tokens)
		for _, p := range b.credentials.Problems {
			log.Infof(b.group(log.CFG), "%v", p)
		}
	})
	return b.credentials
}

// trusted makes the store of what certificates are held against, once: it keeps
// CRLs and OCSP responses between IKE_SAs.
func (b *Builder) trusted() (*trust.Store, error) {
	if b.trust != nil {
		return b.trust, nil
	}
	cfg := b.trustConfig(append(slices.Clone(b.Roots.Certs), b.store().CAs()...), b.logger)
	cfg.Trusted = b.store().Certificates()
	for _, a := range b.Swanctl.Authorities {
		if a.CACert == "" {
			continue
		}
		certs, err := swanctl.LoadCertificates(a.CACert)
		if err != nil {
			return nil, a.Pos.Errorf("load CA certificate of authority %q: %w", a.Name, err)
		}
		cfg.Authorities = append(cfg.Authorities, trust.Authority{CA: certs[0], CRLURIs: a.CRLURIs, OCSPURIs: a.OCSPURIs})
	}
	responders, err := b.Swanctl.Files("x509ocsp")
	if err != nil {
		return nil, fmt.Errorf("load certificates of OCSP responders: %w", err)
	}
	for _, f := range responders {
		certs, err := swanctl.LoadCertificates(f)
		if err != nil {
			log.Warnf(b.group(log.CFG), "load certificate of an OCSP responder: %v", err)
			continue
		}
		cfg.Responders = append(cfg.Responders, certs[0])
	}
	files, err := b.Swanctl.Files("x509crl")
	if err != nil {
		return nil, fmt.Errorf("load CRLs: %w", err)
	}
	for _, f := range files {
		l, err := trust.LoadCRL(f)
		if err != nil {
			log.Warnf(b.group(log.CFG), "load CRL %s: %v", f, err)
			continue
		}
		cfg.CRLs = append(cfg.CRLs, l)
	}
	if settings.CacheCRLs.In(b.Strongswan) {
		cfg.SaveCRL = b.saveCRL
	}
	b.trust = trust.New(cfg)
	return b.trust, nil
}

// saveCRL keeps a CRL in x509crl, named by its issuer's key (cache_crls).
func (b *Builder) saveCRL(issuer *x509.Certificate, der []byte) {
	err := b.Swanctl.WriteFile("x509crl", hex.EncodeToString(trust.KeyHash(issuer))+".crl", der)
	if err != nil {
		log.Warnf(b.group(log.CFG), "cache CRL: %v", err)
		return
	}
	log.Infof(b.group(log.CFG), "  written crl of %q to x509crl", issuer.Subject)
}

// ownStatus returns how OCSP responses about a certificate of this end and its chain are
// fetched.
func (b *Builder) ownStatus(o credential.KeyPair) (func(context.Context) [][]byte, error) {
	store, err := b.trusted()
	if err != nil {
		return nil, err
	}
	issued := map[*x509.Certificate]*x509.Certificate{}
	certs := append([]*x509.Certificate{o.Cert}, o.Chain...)
	for _, cert := range certs {
		issued[cert] = b.store().Issuer(cert)
	}
	return func(ctx context.Context) (out [][]byte) {
		ctx, cancel := context.WithTimeout(ctx, trust.FetchTimeout)
		defer cancel()
		for _, cert := range certs {
			if issuer := issued[cert]; issuer != nil {
				if b := store.Response(ctx, cert, issuer, time.Now()); b != nil {
					out = append(out, b)
				}
			}
		}
		return out
	}, nil
}

// gatewayVerifier holds the gateway's certificates against a store.
type gatewayVerifier struct {
	store  *trust.Store
	policy trust.Policy
	keys   []crypto.PublicKey // raw ones that the configuration names
	round  ike.RemoteRound
}

// verifier makes the verifier of a remote round.
func (b *Builder) verifier(r *swanctl.Round, round ike.RemoteRound) (ike.Verifier, error) {
	store, err := b.trusted()
	if err != nil {
		return nil, err
	}
	v := &gatewayVerifier{store: store, round: round}
	if v.policy, err = b.policy(r, round.Constraints); err != nil {
		return nil, err
	}
	for _, f := range r.PubKeys {
		key, err := credential.LoadPublicKey(f)
		if err != nil {
			return nil, r.Pos.Errorf("remote.pubkeys of connection %q: %w", b.Connection.Name, err)
		}
		v.keys = append(v.keys, key)
	}
	if b.Roots.Missing != nil && len(v.keys)+len(v.policy.Certs) == 0 && !b.hasOthers() {
		return nil, b.Roots.Missing
	}
	return v, nil
}

// hasOthers reports whether a certificate is loaded that is not this machine's
// own: it may be the gateway's.
func (b *Builder) hasOthers() bool {
	own := map[string]bool{}
	for _, o := range b.store().All() {
		own[string(o.Cert.Raw)] = true
	}
	for _, r := range b.Connection.Local {
		for _, f := range r.Certs {
			if cs, err := swanctl.LoadCertificates(f); err == nil {
				own[string(cs[0].Raw)] = true
			}
		}
	}
	for _, c := range b.store().Certificates() {
		if !own[string(c.Raw)] {
			return true
		}
	}
	return len(b.store().CAs()) > 0
}

// policy is what a remote section says of certificates, but for who holds them.
func (b *Builder) policy(r *swanctl.Round, k signature.Constraints) (p trust.Policy, err error) {
	if p.Revocation, err = trust.ParseRevocation(r.Revocation); err != nil {
		return p, r.Pos.Errorf("connection %q: %w", b.Connection.Name, err)
	}
	if p.CAs, err = b.Swanctl.NamedCAs(r); err != nil {
		return p, r.Pos.Errorf("remote.cacerts of connection %q: %w", b.Connection.Name, err)
	}
	if p.Certs, err = b.namedCertificates("remote", r); err != nil {
		return p, err
	}
	var ca ike.Identity
	if r.CAID != "" {
		if ca, err = ike.ParseIdentity(r.CAID); err != nil {
			return p, r.Pos.Errorf("remote.ca_id of connection %q: %w", b.Connection.Name, err)
		}
	}
	constrained := r.CAID != ""
	if constrained && !b.knownCA(r, ca) {
		constrained = false
		log.Infof(b.group(log.CFG), "%v", noCA(r))
	}
	p.Chain = func(path []*x509.Certificate) error {
		if err := k.CheckChain(path); err != nil {
			return err
		}
		if err := hasPolicies(path[0], r.CertPolicy); err != nil {
			return err
		}
		if !constrained {
			return nil
		}
		for _, c := range path[1:] {
			if identity.Held(c, ca) > identity.None {
				return nil
			}
		}
		return fmt.Errorf("its certificate %q was not issued under the CA that remote.ca_id names", path[0].Subject)
	}
	return p, nil
}

// hasPolicies reports whether the certificate has every policy (cert_policy).
func hasPolicies(c *x509.Certificate, want []string) error {
	for _, w := range want {
		found := false
		for _, have := range c.Policies {
			found = found || have.String() == w
		}
		if !found {
			return fmt.Errorf("its certificate %q does not have the policy %s that remote.cert_policy asks for", c.Subject, w)
		}
	}
	return nil
}

// Verify finds the gateway's public keys.
func (v *gatewayVerifier) Verify(ctx context.Context, p ike.PeerCertificates) ([]crypto.PublicKey, error) {
	if len(v.keys) > 0 {
		return v.keys, nil
	}
	sent := trust.Presented{CRLs: p.CRLs, OCSP: p.OCSP}
	for i, der := range p.Certs {
		c, err := x509.ParseCertificate(der)
		switch {
		case err == nil:
			sent.Certs = append(sent.Certs, c)
		case i == 0:
			return nil, fmt.Errorf("its certificate cannot be read: %w", err)
		}
	}
	policy := v.policy
	policy.MatchesPeer = func(c *x509.Certificate) error {
		held := []ike.Identity{p.ID}
		if v.round.Loose {
			held = append(held, v.round.ID)
		}
		for _, id := range held {
			if identity.Held(c, id) == identity.None {
				return fmt.Errorf("its certificate is for %s, not for '%s'", strings.Join(identity.Names(c), ", "), id)
			}
		}
		return nil
	}
	path, err := v.store.Verify(ctx, sent, policy, p.Now)
	if err != nil {
		return nil, err
	}
	return []crypto.PublicKey{path[0].PublicKey}, nil
}

// tlsVerifier holds the certificates of a server of EAP-TLS, EAP-TTLS or PEAP
// against the trusted CAs, and what the first remote section says of revocation
// and CAs.
func (b *Builder) tlsVerifier(l *swanctl.Round, gw *gatewayIdentity) (VerifyTLS, error) {
	store, err := b.trusted()
	if err != nil {
		return nil, err
	}
	var k signature.Constraints
	if l.Auth.Constraints != "" {
		if k, err = signature.ParseConstraints(l.Auth.Constraints); err != nil {
			return nil, l.Pos.Errorf("local.auth of connection %q: %w", b.Connection.Name, err)
		}
	}
	r := &swanctl.Round{Pos: l.Pos}
	if len(b.Connection.Remote) > 0 {
		r.Revocation, r.CACerts = b.Connection.Remote[0].Revocation, b.Connection.Remote[0].CACerts
	}
	p, err := b.policy(r, k)
	if err != nil {
		return nil, err
	}
	p.MatchesPeer = gw.match
	return verifyTLS(store, p), nil
}
