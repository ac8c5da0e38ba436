package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/testpki"
)

// web is a Fetcher of what it holds.
type web struct {
	pages map[string][]byte
	asked []string
}

func (w *web) Fetch(_ context.Context, r Request) ([]byte, error) {
	w.asked = append(w.asked, r.URI)
	if b, ok := w.pages[r.URI]; ok {
		return b, nil
	}
	return nil, errors.New("nothing there")
}

// world is a root, an intermediate CA, and an end entity below it.
type world struct {
	t         testing.TB
	root, sub *testpki.CA
	leaf      tls.Certificate
	web       *web
	log       strings.Builder
	now       time.Time
}

const (
	crlURI  = "http://ca.example.org/crl"
	ocspURI = "http://ca.example.org/ocsp"
	rootCRL = "http://ca.example.org/root.crl"
)

func newWorld(t testing.TB) *world {
	w := &world{t: t, web: &web{pages: map[string][]byte{}}, now: time.Now()}
	var err error
	w.root, err = testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	w.sub, err = w.root.SubCA("Sub CA", testpki.ECDSA, nil)
	require.NoError(t, err)
	w.leaf = w.issue(w.sub, nil)
	return w
}

func (w *world) issue(ca *testpki.CA, edit func(*x509.Certificate)) tls.Certificate {
	w.t.Helper()
	c, err := ca.Issue("moon.example.org", testpki.ECDSA, edit)
	require.NoError(w.t, err)
	return c
}

func withURIs(c *x509.Certificate) {
	c.CRLDistributionPoints, c.OCSPServer = []string{crlURI}, []string{ocspURI}
}

func (w *world) store(edit func(*Config)) *Store {
	cfg := Config{CAs: []*x509.Certificate{w.root.Cert}, Fetcher: w.web, Logger: log.NewWriter(&w.log, slog.LevelDebug)}
	if edit != nil {
		edit(&cfg)
	}
	return New(cfg)
}

func anybody(*x509.Certificate) error { return nil }

func (w *world) verify(s *Store, p Policy, certs ...*x509.Certificate) ([]*x509.Certificate, error) {
	if p.MatchesPeer == nil {
		p.MatchesPeer = anybody
	}
	return s.Verify(context.Background(), Presented{Certs: certs}, p, w.now)
}

// A path with a weak RSA key vouches for nothing, wherever in it the key is.
func TestWeakKeys(t *testing.T) {
	w := newWorld(t)
	weakRoot, err := testpki.NewCA("Weak root", testpki.RSA1024)
	require.NoError(t, err)
	weakSub, err := w.root.SubCA("Weak sub", testpki.RSA1024, nil)
	require.NoError(t, err)
	weak, err := w.root.Issue("moon.example.org", testpki.RSA1024, nil)
	require.NoError(t, err)
	both := w.store(func(c *Config) { c.CAs = append(c.CAs, weakRoot.Cert) })
	for name, certs := range map[string][]*x509.Certificate{
		"Weak root": {w.issue(weakRoot, nil).Leaf}, "Weak sub": {w.issue(weakSub, nil).Leaf, weakSub.Cert}, "moon.example.org": {weak.Leaf},
	} {
		_, err := w.verify(both, Policy{}, certs...)
		var e *WeakKeyError
		require.ErrorAs(t, err, &e, name)
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "has 1024 bits, at least 2048 are needed")
	}
	_, err = w.verify(w.store(func(c *Config) { c.Trusted = []*x509.Certificate{weak.Leaf} }), Policy{}, weak.Leaf)
	require.ErrorAs(t, err, new(*WeakKeyError), "nor is it trusted without a path")
	_, err = w.verify(both, Policy{}, w.leaf.Leaf, w.sub.Cert)
	require.NoError(t, err)
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	leaf, sub := w.leaf.Leaf, w.sub.Cert
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	require.NoError(t, err)

	path, err := w.verify(w.store(nil), Policy{}, leaf, other.Cert, sub)
	require.NoError(t, err)
	require.Equal(t, []*x509.Certificate{leaf, sub, w.root.Cert}, path, "over what was sent, whatever else was")
	_, err = w.verify(w.store(nil), Policy{}, leaf)
	require.ErrorContains(t, err, `leads to no trusted CA (issuer "CN=Sub CA,O=gotnc,C=CH")`)
	var unknown *UnknownCAError
	require.ErrorAs(t, err, &unknown)

	known := func(c *Config) { c.CAs = append(c.CAs, sub) }
	path, err = w.verify(w.store(known), Policy{}, leaf)
	require.NoError(t, err)
	require.Len(t, path, 3, "the intermediate CA is a link, not an end")
	path, err = w.verify(w.store(func(c *Config) { c.CAs = []*x509.Certificate{sub} }), Policy{}, leaf)
	require.NoError(t, err)
	require.Len(t, path, 2, "without its root it is an anchor")

	for _, c := range []struct {
		cas []*x509.Certificate
		ok  bool
	}{{[]*x509.Certificate{w.root.Cert}, true}, {[]*x509.Certificate{sub}, true}, {[]*x509.Certificate{other.Cert, sub}, true}, {[]*x509.Certificate{other.Cert}, false}} {
		s := w.store(func(cfg *Config) { known(cfg); cfg.CAs = append(cfg.CAs, other.Cert) })
		_, err = w.verify(s, Policy{CAs: c.cas}, leaf)
		if c.ok {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "remote.cacerts")
		}
	}
	w.now = w.now.AddDate(3, 0, 0)
	_, err = w.verify(w.store(known), Policy{}, leaf)
	require.ErrorContains(t, err, "is valid from")
	w.now = time.Now()

	notCA, err := w.root.SubCA("no CA", testpki.ECDSA, func(c *x509.Certificate) { c.IsCA = false })
	require.NoError(t, err)
	under := w.issue(notCA, nil)
	_, err = w.verify(w.store(nil), Policy{}, under.Leaf, notCA.Cert)
	require.Error(t, err, "an end entity issues nothing")
	short, err := w.root.SubCA("short", testpki.ECDSA, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	require.NoError(t, err)
	deep, err := short.SubCA("deep", testpki.ECDSA, nil)
	require.NoError(t, err)
	tooDeep := w.issue(deep, nil)
	_, err = w.verify(w.store(nil), Policy{}, tooDeep.Leaf, deep.Cert, short.Cert)
	require.Error(t, err, "path length")
}

func TestPeerHoldsIdentityAndChain(t *testing.T) {
	w := newWorld(t)
	no := errors.New("its certificate is for somebody else")
	_, err := w.verify(w.store(nil), Policy{MatchesPeer: func(*x509.Certificate) error { return no }}, w.leaf.Leaf, w.sub.Cert)
	require.ErrorIs(t, err, no)
	weak := errors.New("its key is too small")
	_, err = w.verify(w.store(nil), Policy{Chain: func(path []*x509.Certificate) error {
		require.Len(t, path, 3)
		return weak
	}}, w.leaf.Leaf, w.sub.Cert)
	require.ErrorIs(t, err, weak)
	_, err = w.verify(w.store(nil), Policy{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, w.leaf.Leaf, w.sub.Cert)
	require.Error(t, err)
}

func TestTrustedCertificates(t *testing.T) {
	w := newWorld(t)
	self, err := testpki.NewCA("moon.example.org", testpki.ECDSA)
	require.NoError(t, err)
	pinned := self.Cert
	trusted := w.store(func(c *Config) { c.Trusted = []*x509.Certificate{pinned} })
	path, err := w.verify(trusted, Policy{}, pinned)
	require.NoError(t, err)
	require.Equal(t, []*x509.Certificate{pinned}, path)
	_, err = w.verify(trusted, Policy{})
	require.NoError(t, err, "it sends none, but a trusted one matches it")
	_, err = w.verify(trusted, Policy{MatchesPeer: func(*x509.Certificate) error { return errors.New("its") }})
	require.ErrorContains(t, err, "it sent no certificate")
	_, err = w.verify(trusted, Policy{CAs: []*x509.Certificate{w.root.Cert}}, pinned)
	require.Error(t, err, "cacerts asks for a path")
	_, err = w.verify(w.store(nil), Policy{Certs: []*x509.Certificate{pinned}}, pinned)
	require.NoError(t, err)
	_, err = w.verify(w.store(nil), Policy{Certs: []*x509.Certificate{pinned}}, w.leaf.Leaf, w.sub.Cert)
	require.ErrorContains(t, err, "remote.certs")
	w.now = w.now.AddDate(2, 0, 0)
	_, err = w.verify(trusted, Policy{}, pinned)
	require.ErrorContains(t, err, "is valid from")
}

// As with strongSwan, to be trusted without a path does not outweigh the word of
// the CA that it was revoked.
func TestTrustedCertificateThatWasRevoked(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	crl, err := w.root.CRL(1, w.now, leaf)
	require.NoError(t, err)
	for name, p := range map[string]Policy{"x509": {}, "remote.certs": {Certs: []*x509.Certificate{leaf}}} {
		t.Run(name, func(t *testing.T) {
			s := w.store(func(c *Config) { c.Trusted = []*x509.Certificate{leaf} })
			w.web.pages = nil
			_, err = w.verify(s, p, leaf)
			require.NoError(t, err)
			w.web.pages = map[string][]byte{crlURI: crl}
			_, err = w.verify(s, p, leaf)
			require.ErrorContains(t, err, "was revoked")
		})
	}
}
