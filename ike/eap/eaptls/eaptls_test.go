package eaptls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/eaptest"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(pki *eaptest.PKI) Config {
	c := Config{TLS: pki.Peer()}
	c.TLS.Certificates = []tls.Certificate{pki.Client}
	return c
}

func converse(t *testing.T, cfg Config, srv server.Config) (*eaptest.Run, *eap.Peer, eaptest.Server) {
	t.Helper()
	p := eap.NewPeer(eap.Config{Identity: "carol", Methods: []eap.Offer{Offer(cfg)}})
	t.Cleanup(p.Close)
	s := server.NewTLS(srv)
	t.Cleanup(s.Close)
	return eaptest.Converse(t, p, s), p, s
}

func TestBothCertificatesAreProven(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, version := range eaptest.Versions {
		for _, fragment := range []int{0, 200} {
			t.Run(name, func(t *testing.T) {
				cfg := client(pki)
				cfg.FragmentSize = fragment
				r, p, s := converse(t, cfg, server.Config{TLS: pki.TLS(version), FragmentSize: fragment, FirstID: 0xfe})
				require.NoError(t, r.ClientErr)
				require.NoError(t, r.ServerErr)
				require.Equal(t, eap.StatusSuccess, r.Status)
				require.Len(t, p.MSK(), 64)
				require.Equal(t, s.MSK(), p.MSK())
				require.Equal(t, byte(13), p.SessionID()[0])
				if fragment > 0 {
					require.LessOrEqual(t, max(r.Largest[0], r.Largest[1]), fragment)
					require.Greater(t, r.Exchanges, 6)
				}
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	pki, other := eaptest.NewPKI(t), eaptest.NewPKI(t)
	stranger, err := pki.CA.Issue("carol", testpki.ECDSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	require.NoError(t, err)
	for name, version := range eaptest.Versions {
		for what, c := range map[string]struct {
			edit func(*Config, *server.Config)
			says string
			as   any
		}{
			"foreign server":                 {func(_ *Config, s *server.Config) { s.TLS.Certificates = []tls.Certificate{other.Server} }, "", new(x509.UnknownAuthorityError)},
			"other server":                   {func(c *Config, _ *server.Config) { c.TLS.ServerName = "sun.strongswan.org" }, "sun.strongswan.org", new(x509.HostnameError)},
			"foreign client":                 {func(_ *Config, s *server.Config) { s.TLS.ClientCAs = other.Roots() }, "", nil},
			"server's certificate as client": {func(c *Config, _ *server.Config) { c.TLS.Certificates = []tls.Certificate{stranger} }, "", nil},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				cfg, srv := client(pki), server.Config{TLS: pki.TLS(version)}
				c.edit(&cfg, &srv)
				r, p, _ := converse(t, cfg, srv)
				require.Equal(t, eap.StatusFailure, r.Status)
				require.ErrorContains(t, r.ClientErr, c.says)
				if c.as != nil {
					require.ErrorAs(t, r.ClientErr, new(*eap.VerifyError))
					require.ErrorAs(t, r.ClientErr, c.as)
				}
				require.Error(t, r.ServerErr)
				require.NotEqual(t, eap.DecisionMaySucceed, p.Decision())
			})
		}
	}
	_, err = New(Config{TLS: pki.Peer()})
	require.ErrorIs(t, err, ErrNoCertificate)
	_, err = New(Config{TLS: eap.TLSConfig{Certificates: []tls.Certificate{pki.Client}, ServerName: "x"}})
	require.ErrorIs(t, err, eap.ErrNoRoots)
}

// With TLS 1.3 the client's handshake ends before the server has judged the
// certificate: a Success without the commitment message is refused, and so is
// other application data.
func TestSuccessOutOfPlace(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, version := range eaptest.Versions {
		t.Run(name, func(t *testing.T) {
			for stop := range 4 {
				p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(client(pki))}})
				s := server.NewTLS(server.Config{TLS: pki.TLS(version)})
				packet := s.Start()
				for range stop {
					response, _, err := p.Handle(packet)
					require.NoError(t, err)
					packet, _, err = s.Handle(response)
					require.NoError(t, err)
				}
				done := packet[0] == byte(eap.CodeSuccess)
				_, status, err := p.Handle([]byte{byte(eap.CodeSuccess), packet[1], 0, 4})
				require.Equal(t, done, status == eap.StatusSuccess, "after %d exchanges: %v", stop, err)
				p.Close()
				s.Close()
			}
		})
	}
	for _, in := range []inside{{}, {tls13: true}, {tls13: true, committed: true}} {
		for _, data := range []string{"\x01", "\x00\x00", "x"} {
			_, err := in.Receive(0, []byte(data))
			require.ErrorIs(t, err, errData)
		}
	}
}

func TestTunneledNeedsNoCommitment(t *testing.T) {
	for tunneled, want := range map[bool]bool{true: true, false: false} {
		in := inside{tunneled: tunneled}
		in.Enter(tls.ConnectionState{Version: tls.VersionTLS13})
		require.Equal(t, want, in.Accepts())
	}
}

// A lower layer without fragmentation makes packets smaller, never larger than
// configured.
func TestFragmentSizeOfTheLowerLayer(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for _, c := range []struct{ configured, lower, most int }{{0, 300, 300}, {200, 300, 200}} {
		cfg := client(pki)
		cfg.FragmentSize = c.configured
		p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(cfg)}})
		p.SetFragmentSize(c.lower)
		s := server.NewTLS(server.Config{TLS: pki.TLS(tls.VersionTLS13)})
		r := eaptest.Converse(t, p, s)
		require.NoError(t, r.ClientErr)
		require.Equal(t, c.most, r.Largest[1])
		p.Close()
		s.Close()
	}
}

func TestTruncated(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, version := range eaptest.Versions {
		t.Run(name, func(t *testing.T) {
			eaptest.Truncated(t, func() (*eap.Peer, eaptest.Server) {
				return eap.NewPeer(eap.Config{Identity: "carol", Methods: []eap.Offer{Offer(client(pki))}}),
					server.NewTLS(server.Config{TLS: pki.TLS(version), FragmentSize: 400})
			})
		})
	}
}

func FuzzMethod(f *testing.F) {
	pki := eaptest.NewPKI(f)
	f.Add([]byte{0x20}, []byte{0x16, 3, 3, 0, 1, 2})
	f.Add([]byte{0xc0, 0, 0, 0, 9, 1}, []byte{0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m, err := New(client(pki))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, d := range [][]byte{{0x20}, a, b} {
			if r, err := m.Handle(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTLS, Data: bytes.Clone(d)}); err == nil && r.Decision == eap.DecisionMaySucceed {
				t.Fatal("succeeds without a server")
			}
		}
	})
}
