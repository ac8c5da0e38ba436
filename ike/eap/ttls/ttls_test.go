package ttls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/eaptest"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serverName = "moon.strongswan.org"
	identity   = "carol"
	password   = "Ar3etTnp"
)

// world is one CA with the gateway's certificate and a foreign CA.
type world struct {
	ca, other *testpki.CA
	cert      tls.Certificate
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	return &world{ca: ca, other: other, cert: cert}
}

func pool(ca *testpki.CA) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Cert)
	return p
}

// fakeSession sends size octets in its first batch and answers batches with
// themselves, until the server closes.
type fakeSession struct {
	size  int
	begun int
	// the IF-T binding of Begin
	protocol, version string
	maxBatch          int
	received          [][]byte
}

func (s *fakeSession) Begin(maxBatch int, protocol, version string) ([]byte, error) {
	s.begun++
	s.maxBatch, s.protocol, s.version = maxBatch, protocol, version
	return bytes.Repeat([]byte{0xc1}, s.size), nil
}

func (s *fakeSession) Receive(b []byte) ([]byte, error) {
	s.received = append(s.received, b)
	switch string(b) {
	case "RESULT":
		return []byte("CLOSE"), nil
	case "bad":
		return nil, errors.New("bad batch")
	}
	return b, nil
}

// innerServer runs MD5, then TNC: an inner server as strongSwan's.
type innerServer struct {
	t        *testing.T
	tncType  eap.Type // TypeNone: no TNC
	reply    int      // octets of the server's batch
	fragment int

	step     string
	md5      *server.MD5
	tnc      *server.TNC
	id       uint8
	identity string
	batches  [][]byte
	denied   bool
}

var errWrongPassword = errors.New("wrong password")

func (s *innerServer) request(t eap.Type, data []byte) ([]byte, error) {
	s.id += 7
	return eap.Packet{Code: eap.CodeRequest, ID: s.id, Type: t, Data: data}.AppendBinary(nil)
}

func (s *innerServer) Handle(response []byte) ([]byte, error) {
	res, err := eap.Parse(response)
	if err != nil {
		return nil, err
	}
	switch s.step {
	case "":
		require.Equal(s.t, eap.TypeIdentity, res.Type)
		s.identity = string(res.Data)
		s.step = "md5"
		c, data, err := server.NewMD5(s.id + 7)
		if err != nil {
			return nil, err
		}
		s.md5 = c
		return s.request(eap.TypeMD5, data)
	case "md5":
		require.Equal(s.t, eap.TypeMD5, res.Type)
		if !s.md5.Verify(res.Data, []byte(password)) {
			return nil, errWrongPassword
		}
		if s.tncType == eap.TypeNone {
			return nil, nil
		}
		s.tnc, err = server.NewTNC(s.tncType, s.fragment)
		if err != nil {
			return nil, err
		}
		s.step = "tnc"
		return s.request(s.tncType, s.tnc.StartPacket())
	}
	if res.Type != s.tncType {
		return nil, fmt.Errorf("client answered with %s", res)
	}
	batch, next, whole, err := s.tnc.Receive(res.Data)
	if err != nil {
		return nil, err
	}
	if !whole {
		return s.request(s.tncType, next)
	}
	s.batches = append(s.batches, batch)
	var answer []byte
	switch s.step {
	case "tnc":
		s.step = "batch"
		answer = bytes.Repeat([]byte{0x5d}, s.reply)
	case "batch":
		s.step = "result"
		answer = []byte("RESULT")
	default:
		if s.denied {
			return nil, errors.New("denied")
		}
		return nil, nil
	}
	data, err := s.tnc.Send(answer)
	if err != nil {
		return nil, err
	}
	return s.request(s.tncType, data)
}

type run struct {
	*eaptest.Run
	peer   *eap.Peer
	server *server.Server
	log    string
}

// converse runs an outer conversation to its end.
func converse(t *testing.T, client Config, srv server.TTLSConfig) *run {
	t.Helper()
	var buf bytes.Buffer
	client.Logger = log.NewWriter(&buf, slog.LevelInfo)
	r := &run{
		peer:   eap.NewPeer(eap.Config{Identity: identity, Methods: []eap.Offer{Offer(client)}, Logger: client.Logger}),
		server: server.NewTTLS(srv),
	}
	t.Cleanup(r.peer.Close)
	t.Cleanup(r.server.Close)
	r.Run = eaptest.Converse(t, r.peer, r.server)
	r.log = buf.String()
	return r
}

func (w *world) client(s tnc.Session) Config {
	c := Config{
		TLS:   eap.TLSConfig{Roots: pool(w.ca), ServerName: serverName},
		Inner: eap.Config{Identity: identity, Methods: []eap.Offer{md5.Offer([]byte(password))}},
	}
	if s != nil {
		c.Inner.Methods = append(c.Inner.Methods, tnc.OfferPT(tnc.Config{Session: s}), tnc.OfferTNC(tnc.Config{Session: s}))
	}
	return c
}

func (w *world) server(version uint16, inner server.TTLSInner) server.TTLSConfig {
	return server.TTLSConfig{
		Config: server.Config{
			TLS:     &tls.Config{Certificates: []tls.Certificate{w.cert}, MinVersion: version, MaxVersion: version},
			FirstID: 0xfe, // wraps around
		},
		Inner: inner,
	}
}

var versions = map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}

func TestIdentityMD5AndTNC(t *testing.T) {
	w := newWorld(t)
	for name, version := range versions {
		for _, typ := range []eap.Type{eap.TypePT, eap.TypeTNC} {
			for _, size := range []int{258, 60000} {
				for _, fragment := range []int{0, 1024} {
					t.Run(fmt.Sprintf("%s/%s/%d/%d", name, typ, size, fragment), func(t *testing.T) {
						s := &fakeSession{size: size}
						inner := &innerServer{t: t, tncType: typ, reply: size}
						client, srv := w.client(s), w.server(version, inner)
						client.FragmentSize, srv.FragmentSize = fragment, fragment
						r := converse(t, client, srv)
						require.NoError(t, r.ClientErr)
						require.NoError(t, r.ServerErr)
						require.Equal(t, eap.StatusSuccess, r.Status)
						require.Len(t, r.peer.MSK(), 64)
						require.Equal(t, r.server.MSK(), r.peer.MSK())
						require.Equal(t, byte(eap.TypeTTLS), r.peer.SessionID()[0])
						require.Len(t, r.peer.SessionID(), 65)

						require.Equal(t, identity, inner.identity)
						require.Equal(t, 1, s.begun)
						require.Equal(t, tnc.MaxBatch, s.maxBatch)
						require.Equal(t, "IF-T for Tunneled EAP", s.protocol)
						require.Equal(t, map[eap.Type]string{eap.TypePT: "2.0", eap.TypeTNC: "1.1"}[typ], s.version)
						require.Len(t, inner.batches, 3)
						require.Len(t, inner.batches[0], size)
						require.Len(t, inner.batches[1], size)
						require.Equal(t, "CLOSE", string(inner.batches[2]))
						limit := fragment
						if limit == 0 {
							limit = tlskind.FragmentSize
						}
						require.LessOrEqual(t, r.Largest[0], limit)
						require.LessOrEqual(t, r.Largest[1], limit)
						if fragment == 0 && size < 1000 {
							require.LessOrEqual(t, r.Exchanges, 9)
						}
						require.Contains(t, r.log, "[IKE] server requested EAP_TTLS authentication (id 0xFE)\n[TLS] EAP_TTLS version is v0\n")
						require.Contains(t, r.log, "[IKE] received tunneled EAP-TTLS AVP [EAP/REQ/MD5]\n[IKE] server requested EAP_MD5 authentication (id 0x07)\n[IKE] sending tunneled EAP-TTLS AVP [EAP/RES/MD5]\n")
						require.Contains(t, r.log, "[IKE] EAP method EAP_TTLS succeeded, MSK established")
						require.NotContains(t, r.log, password)
						msk := r.peer.MSK()
						r.peer.Close()
						require.Equal(t, make([]byte, 64), msk, "Close zeroes the MSK")
					})
				}
			}
		}
	}
}

func TestTNCFragments(t *testing.T) {
	w := newWorld(t)
	s := &fakeSession{size: 5000}
	client := w.client(nil)
	client.Inner.Methods = append(client.Inner.Methods, tnc.OfferTNC(tnc.Config{Session: s, FragmentSize: 1300}))
	inner := &innerServer{t: t, tncType: eap.TypeTNC, reply: 7000, fragment: 1200}
	r := converse(t, client, w.server(tls.VersionTLS13, inner))
	require.NoError(t, r.ClientErr)
	require.Len(t, inner.batches[0], 5000)
	require.Len(t, s.received[0], 7000)
}

func TestServerThatAsksForTheIdentity(t *testing.T) {
	w := newWorld(t)
	inner := &innerServer{t: t}
	srv := w.server(tls.VersionTLS12, inner)
	ask, err := eap.Packet{Code: eap.CodeRequest, ID: 0, Type: eap.TypeIdentity, Data: []byte("who?")}.AppendBinary(nil)
	require.NoError(t, err)
	srv.Greeting = ask
	r := converse(t, w.client(nil), srv)
	require.NoError(t, r.ClientErr)
	require.Equal(t, identity, inner.identity)
	require.Contains(t, r.log, "received tunneled EAP-TTLS AVP [EAP/REQ/ID]")
}

func TestProtectedSuccessIndication(t *testing.T) {
	w := newWorld(t)
	srv := w.server(tls.VersionTLS13, &innerServer{t: t})
	srv.ProtectedSuccess = true
	r := converse(t, w.client(nil), srv)
	require.NoError(t, r.ClientErr)
	require.NoError(t, r.ServerErr)
}

// The inner server must not have been asked anything in these.
func TestServerIsVerifiedBeforeAnythingInsideIsSent(t *testing.T) {
	w := newWorld(t)
	foreign, err := w.other.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	clientOnly, err := w.ca.Issue(serverName, testpki.ECDSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	require.NoError(t, err)
	later := func() time.Time { return time.Now().AddDate(2, 0, 0) }
	for name, version := range versions {
		for _, c := range []struct {
			name string
			edit func(*Config, *server.TTLSConfig)
			want string
			as   any // type in the error's chain
		}{
			{"wrong CA", func(_ *Config, s *server.TTLSConfig) { s.TLS.Certificates[0] = foreign }, `issuer "CN=Other CA`, new(x509.UnknownAuthorityError)},
			{"wrong name", func(c *Config, _ *server.TTLSConfig) { c.TLS.ServerName = "sun.strongswan.org" }, "sun.strongswan.org", new(x509.HostnameError)},
			{"wrong identity", func(c *Config, _ *server.TTLSConfig) {
				c.TLS.MatchIdentity = func(*x509.Certificate) error { return errors.New("not the one") }
			}, "not the one", nil},
			{"expired", func(c *Config, _ *server.TTLSConfig) { c.TLS.Now = later }, "expired", new(x509.CertificateInvalidError)},
			{"client certificate", func(_ *Config, s *server.TTLSConfig) { s.TLS.Certificates[0] = clientOnly }, "key usage", new(x509.CertificateInvalidError)},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				inner := &innerServer{t: t}
				client, srv := w.client(nil), w.server(version, inner)
				c.edit(&client, &srv)
				r := converse(t, client, srv)
				require.Equal(t, eap.StatusFailure, r.Status)
				var bad *eap.VerifyError
				require.ErrorAs(t, r.ClientErr, &bad)
				if c.as != nil {
					require.ErrorAs(t, r.ClientErr, c.as)
				}
				require.ErrorContains(t, r.ClientErr, c.want)
				require.ErrorContains(t, r.ServerErr, "bad certificate", "the alert reached the server")
				require.Empty(t, inner.identity)
				require.Nil(t, r.peer.MSK())
			})
		}
	}
}

func TestMatchIdentityReplacesServerName(t *testing.T) {
	w := newWorld(t)
	client := w.client(nil)
	client.TLS.ServerName = ""
	client.TLS.MatchIdentity = func(c *x509.Certificate) error {
		if c.Subject.CommonName != serverName {
			return errors.New("no")
		}
		return nil
	}
	require.NoError(t, converse(t, client, w.server(tls.VersionTLS12, &innerServer{t: t})).ClientErr)
}

func TestWrongPassword(t *testing.T) {
	w := newWorld(t)
	client := w.client(nil)
	client.Inner.Methods = []eap.Offer{md5.Offer([]byte("wrong"))}
	r := converse(t, client, w.server(tls.VersionTLS13, &innerServer{t: t}))
	require.Equal(t, eap.StatusFailure, r.Status)
	require.ErrorIs(t, r.ClientErr, eap.ErrFailure)
	require.ErrorIs(t, r.ServerErr, errWrongPassword)
	require.ErrorIs(t, r.ClientErr, eap.ErrCredentials)
}

func TestDenied(t *testing.T) {
	w := newWorld(t)
	r := converse(t, w.client(&fakeSession{size: 1}), w.server(tls.VersionTLS12, &innerServer{t: t, tncType: eap.TypePT, denied: true}))
	require.ErrorIs(t, r.ClientErr, eap.ErrFailure)
	require.ErrorIs(t, r.ClientErr, eap.ErrPolicy)
	require.ErrorContains(t, r.ClientErr, "policy refused this device")
}

func TestInnerMethodThatIsNotConfigured(t *testing.T) {
	w := newWorld(t)
	r := converse(t, w.client(nil), w.server(tls.VersionTLS12, &innerServer{t: t, tncType: eap.TypePT}))
	require.Error(t, r.ServerErr)
	require.ErrorContains(t, r.ServerErr, "EAP/RES/NAK")
	require.ErrorIs(t, r.ClientErr, eap.ErrFailure)
}

func TestOldTLSIsRefused(t *testing.T) {
	w := newWorld(t)
	client := w.client(nil)
	client.TLS.MinVersion = tls.VersionTLS13
	r := converse(t, client, w.server(tls.VersionTLS12, &innerServer{t: t}))
	require.Equal(t, eap.StatusFailure, r.Status)
	require.ErrorContains(t, r.ClientErr, "protocol version")
}

func TestSuccessBeforeTheTunnelIsRefused(t *testing.T) {
	w := newWorld(t)
	srv := server.NewTTLS(w.server(tls.VersionTLS13, nil))
	defer srv.Close()
	p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(w.client(nil))}})
	defer p.Close()
	_, _, err := p.Handle(srv.Start())
	require.NoError(t, err)
	_, status, err := p.Handle([]byte{3, 1, 0, 4})
	require.Equal(t, eap.StatusFailure, status)
	require.ErrorContains(t, err, "EAP_SUCCESS before")
}

func TestHostilePackets(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		packets [][]byte
		want    string
	}{
		"no start":        {[][]byte{{0x00, 1, 2}}, "before the start"},
		"two starts":      {[][]byte{{0x20}, {0x20}}, "second start"},
		"huge":            {[][]byte{{0x20}, {0xc0, 0x7f, 0xff, 0xff, 0xff, 1}}, "limit"},
		"version":         {[][]byte{{0x20}, {0x01, 1}}, "version"},
		"short length":    {[][]byte{{0x20}, {0x80, 0, 0, 0, 1, 1, 2}}, "bad length"},
		"truncated field": {[][]byte{{0x20}, {0x80, 0}}, "too early"},
	} {
		t.Run(name, func(t *testing.T) {
			client := w.client(nil)
			m, err := New(client)
			require.NoError(t, err)
			defer m.Close()
			for i, data := range c.packets {
				_, err = m.Handle(eap.Packet{Code: eap.CodeRequest, ID: byte(i), Type: eap.TypeTTLS, Data: data})
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("not TLS", func(t *testing.T) {
		m, err := New(w.client(nil))
		require.NoError(t, err)
		defer m.Close()
		_, err = m.Handle(eap.Packet{Type: eap.TypeTTLS, Data: []byte{0x20}})
		require.NoError(t, err)
		r, err := m.Handle(eap.Packet{Type: eap.TypeTTLS, Data: append([]byte{0}, "HTTP/1.1 400 no"...)})
		require.NoError(t, err)
		require.Equal(t, eap.DecisionFail, r.Decision)
		require.Error(t, r.Err)
	})
}

func TestNewNeedsRootsAndIdentity(t *testing.T) {
	_, err := New(Config{TLS: eap.TLSConfig{ServerName: "x"}})
	require.ErrorIs(t, err, eap.ErrNoRoots)
	_, err = New(Config{TLS: eap.TLSConfig{Roots: x509.NewCertPool()}})
	require.ErrorIs(t, err, eap.ErrNoIdentity)
}

func TestClientCertificate(t *testing.T) {
	w := newWorld(t)
	own, err := w.ca.Issue("carol", testpki.ECDSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	require.NoError(t, err)
	client, srv := w.client(nil), w.server(tls.VersionTLS12, &innerServer{t: t})
	client.TLS.Certificates = []tls.Certificate{own}
	srv.TLS.ClientAuth, srv.TLS.ClientCAs = tls.RequireAndVerifyClientCert, pool(w.ca)
	require.NoError(t, converse(t, client, srv).ClientErr)
	client.TLS.Certificates = nil
	r := converse(t, client, srv)
	require.Equal(t, eap.StatusFailure, r.Status)
	require.ErrorContains(t, r.ClientErr, "remote error")
}

func TestTruncated(t *testing.T) {
	w := newWorld(t)
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			eaptest.Truncated(t, func() (*eap.Peer, eaptest.Server) {
				srv := w.server(version, &innerServer{t: t})
				srv.FragmentSize = 400
				return eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(w.client(nil))}}), server.NewTTLS(srv)
			})
		})
	}
}

func FuzzMethod(f *testing.F) {
	f.Add([]byte{0x20}, []byte{0x16, 3, 3, 0, 1, 2})
	root := x509.NewCertPool()
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m, err := New(Config{TLS: eap.TLSConfig{Roots: root, ServerName: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, d := range [][]byte{{0x20}, a, b} {
			if r, err := m.Handle(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTTLS, Data: d}); err == nil && r.Decision == eap.DecisionMaySucceed {
				t.Fatal("succeeds without a server")
			}
		}
	})
}
