package charon

import (
	"crypto/x509"
	"io"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/testpki"
)

// publisher serves the CRL and the OCSP responses of a CA, on the client itself: the
// gateway routes all that it sends there into the tunnel, which stands on its side
// before the client has verified it.
type publisher struct {
	crl, ocsp atomic.Pointer[[]byte] // nil: 404
	asked     atomic.Int32
}

func publish(t *testing.T, ns, addr string) *publisher {
	p := &publisher{}
	l, err := netns.Listen(ns, addr)
	require.NoError(t, err)
	mux := http.NewServeMux()
	serve := func(what *atomic.Pointer[[]byte]) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			p.asked.Add(1)
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<16))
			b := what.Load()
			if b == nil {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write(*b)
		}
	}
	mux.HandleFunc("/crl", serve(&p.crl))
	mux.HandleFunc("/ocsp", serve(&p.ocsp))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return p
}

// CRLs of distribution points, of x509crl and of authorities, OCSP responders:
// a revoked gateway is refused, one whose state is not known is where that is
// asked for.
func TestRevocationWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.ECDSA)
	gw, cl := s.certificates(ca, "own", testpki.ECDSA, func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"http://192.168.0.100:8080/crl"}
		c.OCSPServer = []string{"http://192.168.0.100:8080/ocsp"}
	})
	p := publish(t, s.Client, "192.168.0.100:8080")
	s.write("cl/strongswan.conf", "tnc {\n fetch {\n  private_addresses = yes\n }\n}\n")
	now := time.Now()
	crl := func(number int64, revoked ...*x509.Certificate) *[]byte {
		b, err := ca.CRL(number, now, revoked...)
		require.NoError(t, err)
		return &b
	}
	ocsp := func(revoked bool) *[]byte {
		b, err := ca.OCSP(gw.Leaf, revoked, now, nil)
		require.NoError(t, err)
		return &b
	}
	with := func(policy, top string) authCase {
		return authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\n" + carolIs,
			clLocal: pubkey("pubkey", "own") + carolIs, clRemote: "auth = pubkey\n" + gwIs + "revocation = " + policy + "\n", clTop: top}
	}
	s.accepted(with("relaxed", ""), "certificate status is not available")
	s.refused(with("ifuri", ""), "revocation = ifuri")
	s.refused(with("strict", ""), "revocation = strict")
	require.Positive(t, p.asked.Load())

	p.crl.Store(crl(1, cl.Leaf))
	s.accepted(with("strict", ""), "fetching crl from 'http://192.168.0.100:8080/crl'", "certificate status is good")
	p.crl.Store(crl(2, gw.Leaf))
	s.refused(with("relaxed", ""), "was revoked")

	p.ocsp.Store(ocsp(false))
	s.accepted(with("strict", ""), "requesting ocsp status from 'http://192.168.0.100:8080/ocsp'", "certificate status is good")
	p.ocsp.Store(ocsp(true))
	s.refused(with("relaxed", ""), "was revoked")
	p.ocsp.Store(nil)
	p.crl.Store(nil)

	// A newer CRL of a file wins over none; an authority names one by a file URI.
	s.write("cl/swanctl/x509crl/ca.crl", "%s", testpki.CRLPEM(*crl(3, gw.Leaf)))
	s.refused(with("relaxed", ""), "was revoked")
	s.write("cl/swanctl/x509crl/ca.crl", "%s", *crl(4))
	s.accepted(with("strict", ""))
	s.write("cl/fetched.crl", "%s", *crl(5, gw.Leaf))
	s.write("cl/swanctl/x509crl/ca.crl", "not a CRL")
	s.refused(with("relaxed", "authorities {\n own {\n  cacert = own.pem\n  crl_uris = file://"+filepath.Join(s.dir, "cl", "fetched.crl")+"\n }\n}\n"), "was revoked")
}

// OCSP responses travel in IKE (RFC 4806), asked for by either end: neither
// fetches that of the other.
func TestOCSPInIKE(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, peer: strongSwan6(t)})
	ca := newCA(t, testpki.ECDSA)
	now := time.Now()
	gwSide, clSide := publish(t, s.Gateway, "192.168.0.1:8080"), publish(t, s.Client, "192.168.0.100:8080")
	gw, _ := s.certificates(ca, "own", testpki.ECDSA, func(c *x509.Certificate) { c.OCSPServer = []string{"http://192.168.0.1:8080/ocsp"} })
	cl, err := ca.Issue("carol.gotnc.test", testpki.ECDSA, func(c *x509.Certificate) {
		c.EmailAddresses, c.ExtKeyUsage, c.OCSPServer = []string{user}, nil, []string{"http://192.168.0.100:8080/ocsp"}
	})
	require.NoError(t, err)
	in := func(path string) string { return filepath.Join(s.dir, "cl", "swanctl", path) }
	require.NoError(t, testpki.WriteFiles(cl, in("x509/own.pem"), in("private/own.pem")))
	b, err := ca.OCSP(gw.Leaf, false, now, nil)
	require.NoError(t, err)
	gwSide.ocsp.Store(&b)
	mine, err := ca.OCSP(cl.Leaf, false, now, nil)
	require.NoError(t, err)
	clSide.ocsp.Store(&mine)
	c := authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\nrevocation = strict\n" + carolIs, gwMore: "ocsp = both\n",
		clLocal: pubkey("pubkey", "own") + carolIs, clRemote: "auth = pubkey\nrevocation = strict\n" + gwIs, clMore: "ocsp = both\n"}
	code, says := s.authenticate(c)
	require.Zero(t, code, says)
	require.Contains(t, says, "certificate status is good")
	require.NotContains(t, says, "requesting ocsp status from 'http://192.168.0.1:8080/ocsp'", "the gateway sent it")
	require.EqualValues(t, 1, clSide.asked.Load(), "by us, for the gateway")
}

// A CRL that was fetched is there the next time (cache_crls).
func TestCachedCRL(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.ECDSA)
	gw, _ := s.certificates(ca, "own", testpki.ECDSA, func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"http://192.168.0.100:8080/crl"}
	})
	p := publish(t, s.Client, "192.168.0.100:8080")
	b, err := ca.CRL(7, time.Now(), gw.Leaf)
	require.NoError(t, err)
	p.crl.Store(&b)
	s.write("cl/strongswan.conf", "charon {\n cache_crls = yes\n}\ntnc {\n fetch {\n  private_addresses = yes\n }\n}\n")
	c := authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\n" + carolIs,
		clLocal: pubkey("pubkey", "own") + carolIs, clRemote: "auth = pubkey\n" + gwIs}
	s.refused(c, "was revoked")
	p.crl.Store(nil)
	s.refused(c, "was revoked")
	require.EqualValues(t, 1, p.asked.Load())
}

// What holds for IKE holds for the TLS server inside EAP-TTLS.
func TestRevokedInsideTTLS(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.RSA)
	gw, _ := s.certificates(ca, "own", testpki.RSA, nil)
	c := authCase{gwLocal: "auth = eap-ttls\ncerts = own.pem\n" + gwIs, gwRemote: "auth = eap-ttls\nid = *@gotnc.test\n",
		clLocal: "auth = eap-ttls\n" + carolIs, clRemote: "auth = eap-ttls\nrevocation = strict\ncacerts = own.pem\n" + gwIs,
		secrets: "eap {\nid = " + user + "\nsecret = " + password + "\n}\n"}
	s.useAsTLSServer()
	s.refused(c, "revocation = strict")
	b, err := ca.CRL(1, time.Now())
	require.NoError(t, err)
	s.write("cl/swanctl/x509crl/ca.crl", "%s", b)
	s.accepted(c, "certificate status is good")
	b, err = ca.CRL(2, time.Now(), gw.Leaf)
	require.NoError(t, err)
	s.write("cl/swanctl/x509crl/ca.crl", "%s", b)
	s.refused(c, "was revoked")
}
