package trust

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/gotnc/gotnc/internal/testpki"
)

// One certificate below the root, and what each policy makes of what is known.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	plain, uris := w.issue(w.root, nil).Leaf, w.issue(w.root, withURIs).Leaf
	crl := func(number int64, revoked ...*x509.Certificate) []byte {
		b, err := w.root.CRL(number, w.now, revoked...)
		require.NoError(t, err)
		return b
	}
	old, err := w.root.EditedCRL(1, w.now.AddDate(0, 0, -2), nil)
	require.NoError(t, err)
	revokedLongAgo, err := w.root.EditedCRL(1, w.now.AddDate(0, 0, -2), nil, uris)
	require.NoError(t, err)
	good, err := w.root.OCSP(uris, false, w.now, nil)
	require.NoError(t, err)
	bad, err := w.root.OCSP(uris, true, w.now, nil)
	require.NoError(t, err)
	stale, err := w.root.OCSP(uris, false, w.now.AddDate(0, 0, -2), nil)
	require.NoError(t, err)
	for _, c := range []struct {
		name                   string
		cert                   *x509.Certificate
		crl, ocsp              []byte
		relaxed, ifuri, strict bool
	}{
		{"nobody to ask", plain, nil, nil, true, true, false},
		{"nobody answers", uris, nil, nil, true, false, false},
		{"CRL", uris, crl(1), nil, true, true, true},
		{"CRL that revokes others", uris, crl(1, plain), nil, true, true, true},
		{"CRL that revokes it", uris, crl(1, uris), nil, false, false, false},
		{"old CRL", uris, old, nil, true, false, false},
		{"old CRL that revokes it", uris, revokedLongAgo, nil, false, false, false},
		{"no CRL", uris, []byte("<html>"), nil, true, false, false},
		{"OCSP", uris, nil, good, true, true, true},
		{"OCSP revoked", uris, nil, bad, false, false, false},
		{"OCSP before CRL", uris, crl(1, uris), good, true, true, true},
		{"OCSP revoked, CRL not", uris, crl(1), bad, false, false, false},
		{"OCSP old", uris, nil, stale, true, false, false},
		{"OCSP old, CRL fresh", uris, crl(1), stale, true, true, true},
		{"no OCSP response", uris, nil, []byte("<html>"), true, false, false},
	} {
		for policy, ok := range map[Revocation]bool{Relaxed: c.relaxed, IfURI: c.ifuri, Strict: c.strict} {
			t.Run(c.name+" "+policy.String(), func(t *testing.T) {
				w.web.pages = map[string][]byte{}
				if c.crl != nil {
					w.web.pages[crlURI] = c.crl
				}
				if c.ocsp != nil {
					w.web.pages[ocspURI] = c.ocsp
				}
				_, err := w.verify(w.store(nil), Policy{Revocation: policy}, c.cert)
				if ok {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				require.Regexp(t, `was revoked on|revocation = `, err)
			})
		}
	}
}

func TestEveryLinkIsChecked(t *testing.T) {
	w := newWorld(t)
	sub, err := w.root.SubCA("Sub CA 2", testpki.ECDSA, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{rootCRL} })
	require.NoError(t, err)
	leaf := w.issue(sub, withURIs).Leaf
	good, err := sub.CRL(1, w.now)
	require.NoError(t, err)
	w.web.pages[crlURI] = good
	_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf, sub.Cert)
	require.ErrorContains(t, err, `certificate "CN=Sub CA 2`)
	revoked, err := w.root.CRL(1, w.now, sub.Cert)
	require.NoError(t, err)
	w.web.pages[rootCRL] = revoked
	_, err = w.verify(w.store(nil), Policy{}, leaf, sub.Cert)
	var r *RevokedError
	require.ErrorAs(t, err, &r)
	require.Equal(t, 1, r.Reason)
	require.ErrorContains(t, err, "key compromise")
	fine, err := w.root.CRL(2, w.now)
	require.NoError(t, err)
	w.web.pages[rootCRL] = fine
	_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf, sub.Cert)
	require.NoError(t, err)
}

// What is fetched is kept as long as it is fresh.
func TestCache(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	b, err := w.root.CRL(1, w.now)
	require.NoError(t, err)
	w.web.pages[crlURI] = b
	var saved [][]byte
	s := w.store(func(c *Config) {
		c.NoOCSP = true
		c.SaveCRL = func(issuer *x509.Certificate, der []byte) {
			require.Equal(t, w.root.Cert, issuer)
			saved = append(saved, der)
		}
	})
	for range 3 {
		_, err = w.verify(s, Policy{Revocation: Strict}, leaf)
		require.NoError(t, err)
	}
	require.Equal(t, []string{crlURI}, w.web.asked)
	require.Equal(t, [][]byte{b}, saved)
	w.now = w.now.Add(2 * time.Hour)
	next, err := w.root.CRL(2, w.now, leaf)
	require.NoError(t, err)
	w.web.pages[crlURI] = next
	_, err = w.verify(s, Policy{}, leaf)
	require.ErrorContains(t, err, "revoked")
	w.web.pages[crlURI] = b // an old one does not come back
	w.now = w.now.Add(2 * time.Hour)
	_, err = w.verify(s, Policy{}, leaf)
	require.ErrorContains(t, err, "revoked")

	w.now, w.web.asked = time.Now(), nil
	o, err := w.root.OCSP(leaf, false, w.now, nil)
	require.NoError(t, err)
	w.web.pages[ocspURI] = o
	s = w.store(nil)
	for range 3 {
		_, err = w.verify(s, Policy{Revocation: Strict}, leaf)
		require.NoError(t, err)
	}
	require.Equal(t, []string{ocspURI}, w.web.asked)
	require.Equal(t, o, s.Response(context.Background(), leaf, w.root.Cert, w.now))
	foreign, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	w.web.pages[ocspURI], err = foreign.OCSP(leaf, false, w.now, nil)
	require.NoError(t, err)
	require.Nil(t, s.Response(context.Background(), leaf, w.root.Cert, w.now))
}

// CRLs and OCSP responses that the peer sent, of files, of URIs that only the
// configuration names; nothing at all is fetched for an unverified path.
func TestSources(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, nil).Leaf
	crl, err := w.root.CRL(1, w.now, leaf)
	require.NoError(t, err)
	list, err := ParseCRL(testpki.CRLPEM(crl))
	require.NoError(t, err)
	revoked, err := w.root.OCSP(leaf, true, w.now, nil)
	require.NoError(t, err)
	authority := Authority{CA: w.root.Cert, CRLURIs: []string{"http://other/crl"}, OCSPURIs: []string{"http://other/ocsp"}}
	for name, c := range map[string]struct {
		sent  Presented
		edit  func(*Config)
		pages map[string][]byte
	}{
		"CRL sent":           {sent: Presented{CRLs: [][]byte{crl}}},
		"OCSP sent":          {sent: Presented{OCSP: [][]byte{[]byte("junk"), revoked}}},
		"CRL of a file":      {edit: func(c *Config) { c.CRLs = append(c.CRLs, list) }},
		"CRL of authority":   {edit: func(c *Config) { c.Authorities = []Authority{authority} }, pages: map[string][]byte{"http://other/crl": crl}},
		"OCSP of authority":  {edit: func(c *Config) { c.Authorities = []Authority{authority} }, pages: map[string][]byte{"http://other/ocsp": revoked}},
		"CRL sent, no fetch": {sent: Presented{CRLs: [][]byte{crl}}, edit: func(c *Config) { c.Fetcher = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			w.web.pages = c.pages
			c.sent.Certs = []*x509.Certificate{leaf}
			_, err := w.store(c.edit).Verify(context.Background(), c.sent, Policy{MatchesPeer: anybody}, w.now)
			require.ErrorContains(t, err, "was revoked")
		})
	}
	s := w.store(func(c *Config) { c.NoCRL, c.NoOCSP, c.CRLs = true, true, append(c.CRLs, list) })
	_, err = w.verify(s, Policy{}, leaf)
	require.NoError(t, err, "both are switched off")

	foreign, err := testpki.NewCA("Foreign CA", testpki.ECDSA)
	require.NoError(t, err)
	w.web.asked = nil
	_, err = w.verify(w.store(nil), Policy{}, w.issue(foreign, withURIs).Leaf)
	require.Error(t, err)
	require.Empty(t, w.web.asked)
}

func TestCRLsThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	foreign, err := testpki.NewCA("Root CA", testpki.ECDSA) // of the same name
	require.NoError(t, err)
	for name, response := range map[string]func() ([]byte, error){
		"of another key": func() ([]byte, error) { return foreign.CRL(1, w.now) },
		"delta": func() ([]byte, error) {
			return w.root.EditedCRL(1, w.now, func(l *x509.RevocationList) {
				l.ExtraExtensions = []pkix.Extension{{Id: oidDeltaCRL, Critical: true, Value: []byte{2, 1, 1}}}
			})
		},
		"of CAs only": func() ([]byte, error) {
			return w.root.EditedCRL(1, w.now, func(l *x509.RevocationList) {
				l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}}
			})
		},
		"from the future": func() ([]byte, error) { return w.root.CRL(1, w.now.Add(3*time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			b, err := response()
			require.NoError(t, err)
			w.web.pages[crlURI] = b
			_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf)
			require.ErrorContains(t, err, "revocation = strict")
		})
	}
	b, err := w.root.EditedCRL(1, w.now, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: []byte{0x30, 0}}}
	})
	require.NoError(t, err)
	w.web.pages[crlURI] = b
	_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf)
	require.NoError(t, err, "a distribution point that limits nothing")
}

// A CA that cuts its CRL into parts names each: the list of another part says
// nothing about a certificate (RFC 5280 section 6.3.3).
func TestCRLOfAnotherPart(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	part := func(uri string, revoked ...*x509.Certificate) []byte {
		name := append([]byte{0x86, byte(len(uri))}, uri...)
		for _, tag := range []byte{0xa0, 0xa0, 0x30} {
			name = append([]byte{tag, byte(len(name))}, name...)
		}
		b, err := w.root.EditedCRL(2, w.now, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: name}}
		}, revoked...)
		require.NoError(t, err)
		return b
	}
	other, own := part("http://ca.example.org/crl/7"), part(crlURI, leaf)
	verify := func(policy Revocation, sent ...[]byte) error {
		_, err := w.store(nil).Verify(context.Background(), Presented{Certs: []*x509.Certificate{leaf}, CRLs: sent}, Policy{MatchesPeer: anybody, Revocation: policy}, w.now)
		return err
	}
	require.ErrorContains(t, verify(Strict, other), "revocation = strict")
	require.ErrorContains(t, verify(Relaxed, other, own), "was revoked")
	w.web.pages[crlURI] = own
	require.ErrorContains(t, verify(Relaxed, other), "was revoked", "the right part is fetched")
	require.NoError(t, verify(Strict, part(crlURI)))
}

// A peer may send the response of before its certificate was revoked.
func TestOlderOCSPResponseDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	before, err := w.root.OCSP(leaf, false, w.now.Add(-time.Minute), nil)
	require.NoError(t, err)
	w.web.pages[ocspURI], err = w.root.OCSP(leaf, true, w.now, nil)
	require.NoError(t, err)
	s := w.store(nil)
	for _, sent := range [][][]byte{nil, {before}} {
		_, err = s.Verify(context.Background(), Presented{Certs: []*x509.Certificate{leaf}, OCSP: sent}, Policy{MatchesPeer: anybody}, w.now)
		require.ErrorContains(t, err, "was revoked")
	}
}

func TestOCSPResponders(t *testing.T) {
	w := newWorld(t)
	leaf, other := w.issue(w.root, withURIs).Leaf, w.issue(w.root, nil).Leaf
	responder := func(edit func(*x509.Certificate)) func(*ocsp.Response) ([]byte, error) {
		c := w.issue(w.root, edit)
		return func(*ocsp.Response) ([]byte, error) {
			return w.root.DelegatedOCSP(leaf, false, w.now, c.Leaf, c.PrivateKey.(crypto.Signer), nil)
		}
	}
	signing := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }
	foreign, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	edited := func(edit func(*ocsp.Response)) func(*ocsp.Response) ([]byte, error) {
		return func(*ocsp.Response) ([]byte, error) { return w.root.OCSP(leaf, false, w.now, edit) }
	}
	for name, c := range map[string]struct {
		make func(*ocsp.Response) ([]byte, error)
		ok   bool
	}{
		"delegated":                   {responder(signing), true},
		"delegated without the right": {responder(nil), false},
		"delegated, expired":          {responder(func(c *x509.Certificate) { signing(c); c.NotAfter = w.now.Add(-time.Minute) }), false},
		"of another CA":               {func(*ocsp.Response) ([]byte, error) { return foreign.OCSP(leaf, false, w.now, nil) }, false},
		"about another":               {func(*ocsp.Response) ([]byte, error) { return w.root.OCSP(other, false, w.now, nil) }, false},
		"unknown":                     {edited(func(r *ocsp.Response) { r.Status = ocsp.Unknown }), false},
		"from the future":             {edited(func(r *ocsp.Response) { r.ThisUpdate = w.now.Add(time.Hour) }), false},
		"without an end":              {edited(func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), true},
		"old, without an end":         {edited(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = w.now.AddDate(0, 0, -2), time.Time{} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := c.make(nil)
			require.NoError(t, err)
			w.web.pages[ocspURI] = b
			_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf)
			if c.ok {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "revocation = strict")
			}
		})
	}
}

// A responder that the configuration trusts needs no word of the CA.
func TestTrustedResponder(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	foreign, err := testpki.NewCA("Responder", testpki.ECDSA)
	require.NoError(t, err)
	responder, err := foreign.Issue("ocsp.example.org", testpki.ECDSA, nil)
	require.NoError(t, err)
	for _, revoked := range []bool{false, true} {
		w.web.pages[ocspURI], err = w.root.DelegatedOCSP(leaf, revoked, w.now, responder.Leaf, responder.PrivateKey.(crypto.Signer), nil)
		require.NoError(t, err)
		_, err = w.verify(w.store(nil), Policy{Revocation: Strict}, leaf)
		require.ErrorContains(t, err, "revocation = strict")
		_, err = w.verify(w.store(func(c *Config) { c.Responders = []*x509.Certificate{responder.Leaf} }), Policy{Revocation: Strict}, leaf)
		if revoked {
			require.ErrorContains(t, err, "was revoked")
		} else {
			require.NoError(t, err)
		}
	}
	// A number is unique with one issuer only: a good word about another CA's is
	// none about this one.
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	require.NoError(t, err)
	w.web.pages[ocspURI], err = other.DelegatedOCSP(leaf, false, w.now, responder.Leaf, responder.PrivateKey.(crypto.Signer), nil)
	require.NoError(t, err)
	_, err = w.verify(w.store(func(c *Config) { c.Responders = []*x509.Certificate{responder.Leaf} }), Policy{Revocation: Strict}, leaf)
	require.ErrorContains(t, err, "revocation = strict")
}

func TestParseRevocation(t *testing.T) {
	for s, want := range map[string]Revocation{"": Relaxed, "relaxed": Relaxed, "ifuri": IfURI, "strict": Strict} {
		got, err := ParseRevocation(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := ParseRevocation("lax")
	require.Error(t, err)
}

// FuzzRevocation: whatever a server answers, it crashes nothing and vouches for
// nothing.
func FuzzRevocation(f *testing.F) {
	w := newWorld(f)
	leaf := w.issue(w.root, withURIs).Leaf
	foreign, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(f, err)
	crl, err := foreign.CRL(1, w.now)
	require.NoError(f, err)
	o, err := foreign.OCSP(leaf, false, w.now, nil)
	require.NoError(f, err)
	f.Add(crl)
	f.Add(o)
	f.Fuzz(func(t *testing.T, b []byte) {
		w.web.pages = map[string][]byte{crlURI: b, ocspURI: b}
		if _, err := w.verify(w.store(nil), Policy{Revocation: Strict}, leaf); err == nil {
			t.Fatalf("%x is believed", b)
		}
	})
}
