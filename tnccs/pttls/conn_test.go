package pttls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/pttls"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
	"github.com/gotnc/gotnc/tnccs/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// imv lets everybody in after some batches.
type imv struct{ batches, after int }

func (i *imv) Begin()               {}
func (i *imv) Receive(pb.PA)        {}
func (i *imv) BatchEnding() []pb.PA { i.batches++; return nil }
func (i *imv) Result() (server.Result, bool) {
	return server.Result{Access: pb.AccessAllowed}, i.batches > i.after
}

type pki struct {
	ca, other        *testpki.CA
	server, client   tls.Certificate
	roots, otherPool *x509.CertPool
}

var keys = sync.OnceValue(func() pki {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	ca, err := testpki.NewCA("Test CA", testpki.ECDSA)
	must(err)
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	must(err)
	p := pki{ca: ca, other: other, roots: x509.NewCertPool(), otherPool: x509.NewCertPool()}
	p.roots.AddCert(ca.Cert)
	p.otherPool.AddCert(other.Cert)
	p.server, err = ca.Issue("aaa.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	must(err)
	p.client, err = ca.Issue("carol.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	must(err)
	return p
})

func config() pttls.Config {
	return pttls.Config{Roots: keys().roots, ServerName: "aaa.example.org", SetupTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second}
}

func serve(t *testing.T, c pttlstest.Config) *pttlstest.Server {
	t.Helper()
	if c.Certificate.PrivateKey == nil {
		c.Certificate = keys().server
	}
	c.ClientCAs = keys().roots
	if c.Session == nil {
		c.Session = func() pttlstest.Session { return server.New(server.Config{}, &imv{after: 2}) }
	}
	s, err := pttlstest.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// assess runs a whole assessment.
func assess(t *testing.T, s *pttlstest.Server, cfg pttls.Config) (pttls.Info, tnccs.Outcome, error) {
	t.Helper()
	client, err := tnccs.NewClient(tnccs.Config{})
	require.NoError(t, err)
	defer client.Close()
	c, err := pttls.Dial(context.Background(), s.Addr(), cfg)
	if err != nil {
		return pttls.Info{}, tnccs.Outcome{}, err
	}
	session := client.NewSession()
	defer session.Close()
	err = c.Run(context.Background(), session)
	return c.Info(), session.Outcome(), err
}

func TestAssessment(t *testing.T) {
	cert := keys().client
	for name, c := range map[string]struct {
		auth       pttlstest.Auth
		mechanisms pttls.Mechanisms
		short      bool
		cert       *tls.Certificate
		secret     string
		want, how  string
	}{
		"nobody":                      {pttlstest.AuthNone, nil, false, &cert, "pw", "none", "none"},
		"certificate":                 {pttlstest.AuthTLS, nil, false, &cert, "", "cert: carol.example.org", "certificate"},
		"tnc-pdp, certificate":        {pttlstest.AuthTLSOrSASL, nil, true, &cert, "pw", "cert: carol.example.org", "certificate"},
		"tnc-pdp, password":           {pttlstest.AuthTLSOrSASL, nil, true, nil, "pw", "PLAIN: carol", "SASL PLAIN"},
		"password, RFC":               {pttlstest.AuthSASL, nil, false, nil, "pw", "PLAIN: carol", "SASL PLAIN"},
		"certificate and EXTERNAL":    {pttlstest.AuthBoth, pttls.Mechanisms{"PLAIN", "EXTERNAL"}, false, &cert, "pw", "EXTERNAL", "certificate and SASL EXTERNAL"},
		"certificate and PLAIN":       {pttlstest.AuthBoth, nil, false, &cert, "pw", "PLAIN: carol", "certificate and SASL PLAIN"},
		"among mechanisms not spoken": {pttlstest.AuthSASL, pttls.Mechanisms{"SCRAM-SHA-256", "PLAIN"}, false, nil, "pw", "PLAIN: carol", "SASL PLAIN"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				s := serve(t, pttlstest.Config{Auth: c.auth, Mechanisms: c.mechanisms, Short: c.short, MaxVersion: version, Passwords: map[string]string{"carol": "pw"}})
				cfg := config()
				cfg.Certificate, cfg.Identity, cfg.Secret = c.cert, "carol", []byte(c.secret)
				info, out, err := assess(t, s, cfg)
				require.NoError(t, err)
				assert.True(t, out.Allowed())
				assert.Equal(t, c.how, info.Authentication)
				assert.Contains(t, info.TLS, tls.VersionName(version))
				assert.Contains(t, info.ServerSubject, "aaa.example.org")
				assert.Equal(t, version == tls.VersionTLS12, len(info.Unique) > 0, "tls-unique is there with TLS 1.2")
				assert.Equal(t, []string{c.want}, s.Clients())
				assert.Equal(t, 4, out.BatchesSent, "three CDATA, CLOSE")
				assert.Equal(t, "pw"[:len(c.secret)], string(cfg.Secret), "the caller's password is the caller's")
			})
		}
	}
}

// No secret leaves before the server's certificate is verified, against a CA
// and by its name.
func TestServerCertificateIsVerifiedFirst(t *testing.T) {
	ca := keys().ca
	wildcard, err := ca.Issue("*.example.org", testpki.ECDSA, nil)
	require.NoError(t, err)
	expired, err := ca.Issue("aaa.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	require.NoError(t, err)
	cnOnly, err := ca.Issue("aaa.example.org", testpki.ECDSA, func(c *x509.Certificate) {
		c.Subject, c.DNSNames = pkix.Name{CommonName: "aaa.example.org"}, nil
	})
	require.NoError(t, err)
	clientOnly, err := ca.Issue("aaa.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	require.NoError(t, err)
	for name, c := range map[string]struct {
		cert  tls.Certificate
		roots *x509.CertPool
		name  string
		ok    bool
	}{
		"name":             {keys().server, keys().roots, "aaa.example.org", true},
		"case, dot":        {keys().server, keys().roots, "AAA.example.org.", true},
		"address":          {keys().server, keys().roots, "127.0.0.1", true},
		"other CA":         {keys().server, keys().otherPool, "aaa.example.org", false},
		"no CA":            {keys().server, x509.NewCertPool(), "aaa.example.org", false},
		"other name":       {keys().server, keys().roots, "bbb.example.org", false},
		"other address":    {keys().server, keys().roots, "127.0.0.2", false},
		"wildcard":         {wildcard, keys().roots, "aaa.example.org", false},
		"expired":          {expired, keys().roots, "aaa.example.org", false},
		"common name only": {cnOnly, keys().roots, "aaa.example.org", false},
		"for clients only": {clientOnly, keys().roots, "aaa.example.org", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, pttlstest.Config{Certificate: c.cert, Auth: pttlstest.AuthSASL, Passwords: map[string]string{"carol": "pw"}})
			cfg := config()
			cfg.Roots, cfg.ServerName, cfg.Identity, cfg.Secret = c.roots, c.name, "carol", []byte("pw")
			_, _, err := assess(t, s, cfg)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, pttls.ErrTLS)
			s.Close()
			assert.Zero(t, s.Secrets())
			assert.Empty(t, s.Clients())
		})
	}
	_, err = pttls.Dial(context.Background(), serve(t, pttlstest.Config{}).Addr(), pttls.Config{ServerName: "aaa.example.org"})
	assert.ErrorContains(t, err, "a CA and the server's name are required")
}

func TestAuthenticationFailures(t *testing.T) {
	stranger, err := keys().other.Issue("mallory.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	require.NoError(t, err)
	for name, c := range map[string]struct {
		auth   pttlstest.Auth
		cert   *tls.Certificate
		secret string
		cause  error
		says   string
	}{
		"wrong password":      {pttlstest.AuthSASL, nil, "guess", pttls.ErrAuthentication, `"carol" by SASL PLAIN`},
		"no password":         {pttlstest.AuthSASL, nil, "", pttls.ErrNoCredentials, "SASL PLAIN"},
		"no certificate":      {pttlstest.AuthTLS, nil, "", pttls.ErrNoCredentials, "certificate"},
		"certificate unknown": {pttlstest.AuthTLS, &stranger, "", pttls.ErrAuthentication, "certificate"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				s := serve(t, pttlstest.Config{Auth: c.auth, MaxVersion: version, Passwords: map[string]string{"carol": "pw"}})
				cfg := config()
				cfg.Certificate, cfg.Identity, cfg.Secret = c.cert, "carol", []byte(c.secret)
				_, _, err := assess(t, s, cfg)
				require.ErrorIs(t, err, c.cause)
				assert.ErrorContains(t, err, c.says)
				if c.secret != "" {
					require.Eventually(t, func() bool { return len(s.Errors()) > 0 }, 5*time.Second, time.Millisecond)
					assert.Equal(t, 1, s.Secrets(), "the same password is not sent twice")
					require.Len(t, s.Errors(), 1)
					assert.Equal(t, pttls.CodeSASLMechanism, s.Errors()[0].Code, "the server gets the error")
				}
			})
		}
	}
}

func TestUnknownMessagesBetweenBatches(t *testing.T) {
	var m pttls.Message
	v, err := pttls.Error{Code: pttls.CodeTypeNotSupported}.AppendBinary(nil)
	require.NoError(t, err)
	m = pttls.Message{Type: pttls.TypeError, Value: v}
	s := serve(t, pttlstest.Config{Insert: []pttls.Message{{Type: 77}, {Vendor: 0x902a, Type: 1, Value: []byte("hello")}, m}})
	_, out, err := assess(t, s, config())
	require.NoError(t, err)
	assert.True(t, out.Allowed())
	require.Eventually(t, func() bool { return len(s.Errors()) >= 6 }, 5*time.Second, time.Millisecond)
	require.Len(t, s.Errors(), 6, "one for each of the two, and none for the error, in three turns")
	for _, e := range s.Errors() {
		assert.Equal(t, pttls.CodeTypeNotSupported, e.Code)
	}
}

// What brings the session no further keeps the client for a bounded time.
func TestMessagesWithoutABatchAreBounded(t *testing.T) {
	v, err := pttls.Error{Code: pttls.CodeTypeNotSupported}.AppendBinary(nil)
	require.NoError(t, err)
	for name, m := range map[string]pttls.Message{"unknown": {Type: 77}, "errors": {Type: pttls.TypeError, Value: v}} {
		t.Run(name, func(t *testing.T) {
			_, out, err := assess(t, serve(t, pttlstest.Config{Insert: slices.Repeat([]pttls.Message{m}, 200)}), config())
			require.NoError(t, err, "200 before each of the batches")
			assert.True(t, out.Allowed())
			_, out, err = assess(t, serve(t, pttlstest.Config{Insert: slices.Repeat([]pttls.Message{m}, 257), OmitClose: true}), config())
			require.ErrorContains(t, err, "without a batch")
			assert.False(t, out.Allowed())
		})
	}
}

func TestFatalMessagesBetweenBatches(t *testing.T) {
	fatal, err := pttls.Error{Code: pttls.CodeMalformed}.AppendBinary(nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		insert pttls.Message
		code   pttls.Code
	}{
		"list":         {pttls.Message{Type: pttls.TypeSASLMechanisms}, pttls.CodeInvalidMessage},
		"experimental": {pttls.Message{}, pttls.CodeInvalidMessage},
		"vendor":       {pttls.Message{Vendor: 0xffffff, Type: 1}, pttls.CodeInvalidParameter},
		"type":         {pttls.Message{Type: 0xffffffff}, pttls.CodeInvalidParameter},
		"error":        {pttls.Message{Type: pttls.TypeError, Value: fatal}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, pttlstest.Config{Insert: []pttls.Message{c.insert}, OmitClose: true})
			_, out, err := assess(t, s, config())
			require.Error(t, err)
			assert.False(t, out.Allowed())
			s.Close()
			if c.code == 0 {
				var pe *pttls.PeerError
				require.ErrorAs(t, err, &pe)
				assert.Equal(t, pttls.CodeMalformed, pe.Received.Code)
				assert.Empty(t, s.Errors(), "an error is never answered with one")
				return
			}
			var pe *pttls.ProtocolError
			require.ErrorAs(t, err, &pe)
			assert.Equal(t, c.code, pe.Code)
		})
	}
}

// Servers that stop, stall or go away at any point cost a bounded time.
func TestServersThatStopAnywhere(t *testing.T) {
	msg := func(typ pttls.Type, value ...byte) []byte {
		b, err := pttls.Message{Type: typ, Value: value}.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	whole := bytes.Join([][]byte{
		msg(pttls.TypeVersionResponse, 0, 0, 0, 1), msg(pttls.TypeSASLMechanisms),
		msg(pttls.TypeBatch, 2, 0x80, 0, 2, 0, 0, 0, 8), // an empty SDATA
	}, nil)
	for n := 0; n <= len(whole); n += 7 {
		s := serve(t, pttlstest.Config{Script: func(c *tls.Conn) {
			_, _ = c.Write(whole[:n])
			_ = c.CloseWrite()
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			var b [4096]byte
			for {
				if _, err := c.Read(b[:]); err != nil {
					return
				}
			}
		}})
		_, _, err := assess(t, s, config())
		require.Error(t, err)
		assert.ErrorContains(t, err, "closed the connection", "%d", n)
		s.Close()
	}
	stall := make(chan struct{})
	defer close(stall)
	for _, n := range []int{0, 20, 36} {
		s := serve(t, pttlstest.Config{Script: func(c *tls.Conn) { _, _ = c.Write(whole[:n]); <-stall }})
		t.Cleanup(func() { s.Close() })
		cfg := config()
		cfg.SetupTimeout, cfg.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond
		begin := time.Now()
		_, _, err := assess(t, s, cfg)
		require.Error(t, err)
		assert.Regexp(t, "within 200ms", err.Error(), "%d", n)
		assert.Less(t, time.Since(begin), 5*time.Second)
	}
}

func TestCancel(t *testing.T) {
	stall := make(chan struct{})
	defer close(stall)
	s := serve(t, pttlstest.Config{Script: func(*tls.Conn) { <-stall }})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := pttls.Dial(ctx, s.Addr(), config())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// In the data transport phase.
	held, closed := make(chan struct{}), make(chan pb.BatchType, 1)
	s = serve(t, pttlstest.Config{Session: func() pttlstest.Session { return mute{held, closed} }})
	conn, err := pttls.Dial(context.Background(), s.Addr(), config())
	require.NoError(t, err)
	client, err := tnccs.NewClient(tnccs.Config{})
	require.NoError(t, err)
	defer client.Close()
	ctx2, cancel2 := context.WithCancel(context.Background())
	go func() { <-held; cancel2() }()
	require.ErrorIs(t, conn.Run(ctx2, client.NewSession()), context.Canceled)
	require.Equal(t, pb.CLOSE, <-closed, "the server gets CLOSE")
}

// mute never answers.
type mute struct {
	held   chan struct{}     // closed by the first batch
	closed chan pb.BatchType // the type of the last
}

func (m mute) Receive(b []byte) ([]byte, error) {
	h, err := pb.ParseHeader(b, pb.Server)
	if err == nil && h.Type == pb.CDATA {
		close(m.held)
	} else {
		m.closed <- h.Type
	}
	return nil, err
}

// The largest batch of the transport goes through, both ways at once.
func TestLargeBatchesBothWays(t *testing.T) {
	s := serve(t, pttlstest.Config{Session: func() pttlstest.Session { return echo{} }})
	conn, err := pttls.Dial(context.Background(), s.Addr(), config())
	require.NoError(t, err)
	b := &big{rounds: 5}
	require.NoError(t, conn.Run(context.Background(), b))
	assert.Equal(t, 5, b.got)
}

type echo struct{}

func (echo) Receive(b []byte) ([]byte, error) { return b, nil }

type big struct{ rounds, got int }

func (b *big) Begin(maxBatch int, protocol, version string) ([]byte, error) {
	if maxBatch != pttls.MaxBatch || protocol != tnccs.TransportTLS || version != "2.0" {
		return nil, errors.New("wrong transport")
	}
	return make([]byte, maxBatch), nil
}

func (b *big) Receive(in []byte) ([]byte, error) {
	if len(in) != pttls.MaxBatch {
		return nil, errors.New("wrong size")
	}
	b.got++
	return in, nil
}

func (b *big) Done() bool { return b.got == b.rounds }

// strongSwan's lines stand in the log, and no secret.
func TestLog(t *testing.T) {
	var buf bytes.Buffer
	s := serve(t, pttlstest.Config{Auth: pttlstest.AuthTLSOrSASL, Short: true, Passwords: map[string]string{"carol": "Ar3etTnp"}})
	cfg := config()
	cfg.Identity, cfg.Secret, cfg.Logger = "carol", []byte("Ar3etTnp"), log.NewWriter(&buf, slog.LevelDebug)
	_, _, err := assess(t, s, cfg)
	require.NoError(t, err)
	for _, line := range []string{
		"[TNC] entering PT-TLS setup phase", "[TNC] entering PT-TLS negotiation phase", "[TNC] sending offer for PT-TLS version 1",
		"[TNC] doing SASL client authentication", "[TNC] received SASL Success result", "[TNC] PT-TLS authentication complete",
		"[TNC] entering PT-TLS data transport phase", "[TNC] sending PT-TLS message #0 of type 'Version Request' (20 bytes)",
		"[TNC] received PT-TLS message #1 of type 'SASL Mechanisms' (22 bytes)",
	} {
		assert.Contains(t, strings.Split(buf.String(), "\n"), line)
	}
	assert.NotContains(t, buf.String(), "Ar3etTnp")
}

// A name that a terminal would obey is not printed as it is.
func TestServerSubjectIsPrintable(t *testing.T) {
	cert, err := keys().ca.Issue("aaa.example.org", testpki.ECDSA, func(c *x509.Certificate) { c.Subject.CommonName = "a\x1b[2J\nb" })
	require.NoError(t, err)
	s := serve(t, pttlstest.Config{Certificate: cert, Auth: pttlstest.AuthNone})
	info, _, err := assess(t, s, config())
	require.NoError(t, err)
	require.Equal(t, "CN=a [2J b,O=gotnc,C=CH", info.ServerSubject)
}
