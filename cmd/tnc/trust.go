package main

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

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/trust"
)

func (c *connection) group(g string) *slog.Logger { return log.Group(c.logger, g) }

// verifyTimeout bounds all fetching for one certificate.
const verifyTimeout = 30 * time.Second

// store opens the private keys and certificates once.
func (c *connection) store() *credential.Store {
	if c.credentials == nil {
		c.credentials = credential.Open(c.swanctl, c.roots.Certs)
		for _, p := range c.credentials.Problems {
			c.group(log.CFG).Info(p.Error())
		}
	}
	return c.credentials
}

// trusted makes the store of what certificates are held against, once: it keeps
// CRLs and OCSP responses between IKE_SAs.
func (c *connection) trusted() (*trust.Store, error) {
	if c.trust != nil {
		return c.trust, nil
	}
	v := c.strongswan.View("charon.plugins.revocation")
	cfg := trust.Config{
		CAs: append(slices.Clone(c.roots.Certs), c.store().CAs()...), Trusted: c.store().Certificates(), Log: c.logger,
		Fetcher: trust.HTTP{Timeout: v.Duration("timeout", 0)},
		NoCRL:   !v.Bool("enable_crl", true), NoOCSP: !v.Bool("enable_ocsp", true),
	}
	for _, a := range c.swanctl.Authorities {
		if a.CACert == "" {
			continue
		}
		certs, err := swanctl.LoadCertificates(a.CACert)
		if err != nil {
			return nil, a.Pos.Errorf("load CA certificate of authority %q: %w", a.Name, err)
		}
		cfg.Authorities = append(cfg.Authorities, trust.Authority{CA: certs[0], CRLURIs: a.CRLURIs, OCSPURIs: a.OCSPURIs})
	}
	responders, err := c.swanctl.Files("x509ocsp")
	if err != nil {
		return nil, fmt.Errorf("load certificates of OCSP responders: %w", err)
	}
	for _, f := range responders {
		certs, err := swanctl.LoadCertificates(f)
		if err != nil {
			c.group(log.CFG).Warn(fmt.Sprintf("load certificate of an OCSP responder: %v", err))
			continue
		}
		cfg.Responders = append(cfg.Responders, certs[0])
	}
	files, err := c.swanctl.Files("x509crl")
	if err != nil {
		return nil, fmt.Errorf("load CRLs: %w", err)
	}
	for _, f := range files {
		l, err := trust.LoadCRL(f)
		if err != nil {
			c.group(log.CFG).Warn(fmt.Sprintf("load CRL %s: %v", f, err))
			continue
		}
		cfg.CRLs = append(cfg.CRLs, l)
	}
	if c.strongswan.View("charon").Bool("cache_crls", false) {
		cfg.SaveCRL = c.saveCRL
	}
	c.trust = trust.New(cfg)
	return c.trust, nil
}

// saveCRL keeps a CRL in x509crl, named by its issuer's key (cache_crls).
func (c *connection) saveCRL(issuer *x509.Certificate, der []byte) {
	err := c.swanctl.WriteFile("x509crl", hex.EncodeToString(trust.KeyHash(issuer))+".crl", der)
	if err != nil {
		c.group(log.CFG).Warn(fmt.Sprintf("cache CRL: %v", err))
		return
	}
	c.group(log.CFG).Info(fmt.Sprintf("  written crl of %q to x509crl", issuer.Subject))
}

// ownStatus fetches OCSP responses about a certificate of ours and its chain.
func (c *connection) ownStatus(o credential.Own) (func() [][]byte, error) {
	store, err := c.trusted()
	if err != nil {
		return nil, err
	}
	issued := map[*x509.Certificate]*x509.Certificate{}
	certs := append([]*x509.Certificate{o.Cert}, o.Chain...)
	for _, cert := range certs {
		issued[cert] = c.store().Issuer(cert)
	}
	return func() (out [][]byte) {
		ctx, cancel := context.WithTimeout(context.Background(), trust.FetchTimeout)
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
func (c *connection) verifier(r *swanctl.Round, round ike.RemoteRound) (ike.Verifier, error) {
	store, err := c.trusted()
	if err != nil {
		return nil, err
	}
	v := &gatewayVerifier{store: store, round: round}
	if v.policy, err = c.policy(r, round.Constraints); err != nil {
		return nil, err
	}
	for _, f := range r.PubKeys {
		key, err := credential.LoadPublicKey(f)
		if err != nil {
			return nil, r.Pos.Errorf("remote.pubkeys of connection %q: %w", c.conn.Name, err)
		}
		v.keys = append(v.keys, key)
	}
	if c.roots.Missing != nil && len(v.keys)+len(v.policy.Certs)+len(c.store().Certificates()) == 0 {
		return nil, c.roots.Missing
	}
	return v, nil
}

// policy is what a remote section says of certificates, but for who holds them.
func (c *connection) policy(r *swanctl.Round, k signature.Constraints) (p trust.Policy, err error) {
	if p.Revocation, err = trust.ParseRevocation(r.Revocation); err != nil {
		return p, r.Pos.Errorf("connection %q: %w", c.conn.Name, err)
	}
	if p.CAs, err = c.swanctl.NamedCAs(r); err != nil {
		return p, r.Pos.Errorf("remote.cacerts of connection %q: %w", c.conn.Name, err)
	}
	for _, f := range r.Certs {
		certs, err := swanctl.LoadCertificates(f)
		if err != nil {
			return p, r.Pos.Errorf("remote.certs of connection %q: %w", c.conn.Name, err)
		}
		p.Certs = append(p.Certs, certs[0])
	}
	var ca ike.Identity
	if r.CAID != "" {
		if ca, err = ike.ParseIdentity(r.CAID); err != nil {
			return p, r.Pos.Errorf("remote.ca_id of connection %q: %w", c.conn.Name, err)
		}
	}
	p.Chain = func(path []*x509.Certificate) error {
		if err := k.CheckChain(path); err != nil {
			return err
		}
		if err := hasPolicies(path[0], r.CertPolicy); err != nil {
			return err
		}
		if r.CAID == "" {
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
func (v *gatewayVerifier) Verify(p ike.PeerCertificates) ([]crypto.PublicKey, error) {
	if len(v.keys) > 0 {
		return v.keys, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	shown := trust.Shown{CRLs: p.CRLs, OCSP: p.OCSP}
	for i, der := range p.Certs {
		c, err := x509.ParseCertificate(der)
		switch {
		case err == nil:
			shown.Certs = append(shown.Certs, c)
		case i == 0:
			return nil, fmt.Errorf("its certificate cannot be read: %w", err)
		}
	}
	policy := v.policy
	policy.Holds = func(c *x509.Certificate) error {
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
	path, err := v.store.Verify(ctx, shown, policy, p.Now)
	if err != nil {
		return nil, err
	}
	return []crypto.PublicKey{path[0].PublicKey}, nil
}

// tlsVerifier holds the certificates of a server of EAP-TLS, EAP-TTLS or PEAP
// against the trusted CAs, and what the first remote section says of revocation
// and CAs.
func (c *connection) tlsVerifier(l *swanctl.Round, gw *gatewayIdentity) (func([]*x509.Certificate, []byte) error, error) {
	store, err := c.trusted()
	if err != nil {
		return nil, err
	}
	var k signature.Constraints
	if l.Auth.Constraints != "" {
		if k, err = signature.ParseConstraints(l.Auth.Constraints); err != nil {
			return nil, l.Pos.Errorf("local.auth of connection %q: %w", c.conn.Name, err)
		}
	}
	r := &swanctl.Round{Pos: l.Pos}
	if len(c.conn.Remote) > 0 {
		r.Revocation, r.CACerts = c.conn.Remote[0].Revocation, c.conn.Remote[0].CACerts
	}
	p, err := c.policy(r, k)
	if err != nil {
		return nil, err
	}
	p.KeyUsages, p.Holds = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, gw.match
	return func(certs []*x509.Certificate, ocsp []byte) error {
		ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
		defer cancel()
		shown := trust.Shown{Certs: certs}
		if len(ocsp) > 0 {
			shown.OCSP = [][]byte{ocsp}
		}
		_, err := store.Verify(ctx, shown, p, time.Now())
		return err
	}, nil
}
