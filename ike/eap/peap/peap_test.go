package peap

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/eaptest"
	"github.com/gotnc/gotnc/ike/eap/gtc"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/mschapv2"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "Ar3etTnp"

// md5Server is an inner server that asks for MD5.
type md5Server struct {
	challenge *md5.Challenge
	identity  string
	refuse    error
	msk       []byte
}

func (s *md5Server) Handle(id uint8, response []byte) ([]byte, error) {
	res, err := eap.Parse(response)
	if err != nil {
		return nil, err
	}
	if s.challenge == nil {
		s.identity = string(res.Data)
		c, data, err := md5.NewChallenge(id)
		if err != nil {
			return nil, err
		}
		s.challenge = c
		return eap.Packet{Code: eap.CodeRequest, ID: id, Type: eap.TypeMD5, Data: data}.AppendBinary(nil)
	}
	if res.Type != eap.TypeMD5 || !s.challenge.Verify(res.Data, []byte(password)) {
		return nil, errors.New("wrong password")
	}
	return nil, s.refuse
}

func (s *md5Server) MSK() []byte { return s.msk }

func client(pki *eaptest.PKI, methods ...eap.Offer) Config {
	return Config{Config: pki.Peer(), Inner: eap.Config{Identity: "carol", Methods: methods}}
}

func converse(t *testing.T, cfg Config, server ServerConfig) (*eaptest.Run, *eap.Peer, *Server, string) {
	t.Helper()
	var text bytes.Buffer
	cfg.Log = log.NewWriter(&text, slog.LevelInfo)
	p := eap.NewPeer(eap.Config{Identity: "anonymous", Methods: []eap.Offer{Offer(cfg)}, Log: cfg.Log})
	t.Cleanup(p.Close)
	s := NewServer(server)
	t.Cleanup(s.Close)
	return eaptest.Converse(t, p, s), p, s, text.String()
}

func TestMD5Inside(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, tlsVersion := range eaptest.Versions {
		for _, bind := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				inner := &md5Server{}
				r, p, s, text := converse(t, client(pki, md5.Offer([]byte(password))), ServerConfig{TLS: pki.TLS(tlsVersion), Inner: inner, Bind: bind, FirstID: 0xfd})
				require.NoError(t, r.ClientErr)
				require.NoError(t, r.ServerErr)
				require.Equal(t, eap.StatusSuccess, r.Status)
				require.Equal(t, "carol", inner.identity)
				require.Len(t, p.MSK(), 64)
				require.Equal(t, s.MSK(), p.MSK())
				require.Equal(t, !bind, bytes.Equal(s.Server.MSK(), p.MSK()), "a bound tunnel has another key")
				require.Contains(t, text, "[TLS] EAP_PEAP version is v0\n")
				require.Contains(t, text, "[IKE] received tunneled EAP-PEAP AVP [EAP/REQ/MD5]\n")
				require.NotContains(t, text, password)
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	pki, other := eaptest.NewPKI(t), eaptest.NewPKI(t)
	for name, c := range map[string]struct {
		edit func(*Config, *ServerConfig)
		says string
	}{
		"wrong password":  {func(c *Config, _ *ServerConfig) { c.Inner.Methods = []eap.Offer{md5.Offer([]byte("wrong"))} }, "secret"},
		"refused":         {func(_ *Config, s *ServerConfig) { s.Inner.(*md5Server).refuse = errors.New("no") }, "secret"},
		"no such method":  {func(c *Config, _ *ServerConfig) { c.Inner.Methods = nil }, "method that is not configured"},
		"foreign server":  {func(c *Config, _ *ServerConfig) { c.Roots = other.Roots() }, "configure the CA"},
		"another server":  {func(c *Config, _ *ServerConfig) { c.ServerName = "sun.strongswan.org" }, "aaa_id"},
		"another binding": {func(_ *Config, s *ServerConfig) { s.Bind, s.Inner.(*md5Server).msk = true, bytes.Repeat([]byte{1}, 64) }, "does not verify"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := &md5Server{}
			cfg, server := client(pki, md5.Offer([]byte(password))), ServerConfig{TLS: pki.TLS(0x0304), Inner: inner}
			c.edit(&cfg, &server)
			p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(cfg)}})
			defer p.Close()
			s := NewServer(server)
			defer s.Close()
			packet := s.Start()
			var err error
			for range 50 {
				var response []byte
				if response, _, err = p.Handle(packet); err != nil {
					break
				}
				packet, _, _ = s.Handle(response)
			}
			require.ErrorContains(t, err, c.says)
			require.Equal(t, name == "foreign server" || name == "another server", inner.identity == "", "nothing is said to a server that is not verified")
		})
	}
}

// inner drives the inside of a tunnel without TLS.
func inner(methods ...eap.Offer) *inside {
	return &inside{log: log.Group(nil, log.IKE), tunnel: func() []byte { return make([]byte, 64) },
		peer: eap.NewPeer(eap.Config{Identity: "carol", Methods: methods, Sequence: true})}
}

func TestInsideWithoutHeaders(t *testing.T) {
	in := inner(eap.Offer{Type: eap.TypeGTC, New: func() (eap.Method, error) { return gtc.New([]byte("token")), nil }})
	defer in.peer.Close()
	out, err := in.Receive(7, []byte{1})
	require.NoError(t, err)
	require.Equal(t, "\x01carol", string(out))
	out, err = in.Receive(8, []byte{1, 5, 0, 5, 1}) // complete
	require.NoError(t, err)
	require.Equal(t, "\x01carol", string(out))
	out, err = in.Receive(9, []byte{4, 1, 2})
	require.NoError(t, err)
	require.Equal(t, []byte{3, 6}, out, "Nak")
	out, err = in.Receive(10, []byte("\x06Password:"))
	require.NoError(t, err)
	require.Equal(t, "\x06token", string(out))
	require.False(t, in.Accepts(), "before the result")
	out, err = in.Receive(11, []byte{1, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 1})
	require.NoError(t, err)
	require.Equal(t, []byte{2, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 1}, out, "with the identifier of the result")
	require.True(t, in.Accepts())
	_, err = in.Receive(12, []byte("\x06again"))
	require.ErrorIs(t, err, errAfterEnd)
	out, err = in.Receive(12, []byte{0})
	require.NoError(t, err)
	require.Empty(t, out)
}

// MSCHAPv2 has to verify the server before its success is believed.
func TestResultOutOfPlace(t *testing.T) {
	success := []byte{1, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 1}
	in := inner(eap.Offer{Type: eap.TypeMSCHAPv2, New: func() (eap.Method, error) { return mschapv2.New("carol", []byte(password), nil) }})
	defer in.peer.Close()
	_, err := in.Receive(1, append([]byte{26, 1, 1, 0, 24, 16}, append(make([]byte, 16), "moo"...)...))
	require.NoError(t, err)
	_, err = in.Receive(2, success)
	require.ErrorIs(t, err, errEarly)
	require.False(t, in.Accepts())

	in = inner()
	defer in.peer.Close()
	out, err := in.Receive(1, []byte{1, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 2})
	require.NoError(t, err)
	require.Equal(t, []byte{2, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 2}, out)
	require.False(t, in.Accepts(), "a failure")
}

func TestTruncated(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, tlsVersion := range eaptest.Versions {
		t.Run(name, func(t *testing.T) {
			eaptest.Truncated(t, func() (*eap.Peer, eaptest.Server) {
				return eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(client(pki, md5.Offer([]byte(password))))}}),
					NewServer(ServerConfig{TLS: pki.TLS(tlsVersion), Inner: &md5Server{}, Bind: true, FragmentSize: 400})
			})
		})
	}
}
