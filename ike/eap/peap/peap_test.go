package peap

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/gtc"
	"github.com/gotnc/gotnc/ike/eap/internal/eaptest"
	"github.com/gotnc/gotnc/ike/eap/internal/peapmsg"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/mschapv2"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "Ar3etTnp"

// md5Server is an inner server that asks for MD5.
type md5Server struct {
	challenge *server.MD5
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
		c, data, err := server.NewMD5(id)
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
	return Config{TLS: pki.Peer(), Inner: eap.Config{Identity: "carol", Methods: methods}}
}

func converse(t *testing.T, cfg Config, srv server.PEAPConfig) (*eaptest.Run, *eap.Peer, *server.PEAP, string) {
	t.Helper()
	var text bytes.Buffer
	cfg.Logger = log.NewWriter(&text, slog.LevelInfo)
	p := eap.NewPeer(eap.Config{Identity: "anonymous", Methods: []eap.Offer{Offer(cfg)}, Logger: cfg.Logger})
	t.Cleanup(p.Close)
	s := server.NewPEAP(srv)
	t.Cleanup(s.Close)
	return eaptest.Converse(t, p, s), p, s, text.String()
}

func TestMD5Inside(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, tlsVersion := range eaptest.Versions {
		for _, bind := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				inner := &md5Server{}
				cfg := client(pki, md5.Offer([]byte(password)))
				cfg.RequireBinding = bind
				r, p, s, text := converse(t, cfg, server.PEAPConfig{Config: server.Config{TLS: pki.TLS(tlsVersion), FirstID: 0xfd}, Inner: inner, Bind: bind})
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
		edit func(*Config, *server.PEAPConfig)
		is   error // in the error's chain
		as   any   // type in the error's chain
	}{
		"wrong password": {func(c *Config, _ *server.PEAPConfig) { c.Inner.Methods = []eap.Offer{md5.Offer([]byte("wrong"))} }, eap.ErrCredentials, nil},
		"refused":        {func(_ *Config, s *server.PEAPConfig) { s.Inner.(*md5Server).refuse = errors.New("no") }, eap.ErrCredentials, nil},
		"no such method": {func(c *Config, _ *server.PEAPConfig) { c.Inner.Methods = nil }, eap.ErrNoCommonMethod, nil},
		"foreign server": {func(c *Config, _ *server.PEAPConfig) { c.TLS.Roots = other.Roots() }, nil, new(x509.UnknownAuthorityError)},
		"another server": {func(c *Config, _ *server.PEAPConfig) { c.TLS.ServerName = "sun.strongswan.org" }, nil, new(x509.HostnameError)},
		"another binding": {func(_ *Config, s *server.PEAPConfig) {
			s.Bind, s.Inner.(*md5Server).msk = true, bytes.Repeat([]byte{1}, 64)
		}, peapmsg.ErrBinding, nil},
		"binding required": {func(c *Config, _ *server.PEAPConfig) { c.RequireBinding = true }, errUnbound, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inner := &md5Server{}
			cfg, srv := client(pki, md5.Offer([]byte(password))), server.PEAPConfig{Config: server.Config{TLS: pki.TLS(0x0304)}, Inner: inner}
			c.edit(&cfg, &srv)
			p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer(cfg)}})
			defer p.Close()
			s := server.NewPEAP(srv)
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
			require.Error(t, err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			} else {
				require.ErrorAs(t, err, new(*eap.VerifyError))
				require.ErrorAs(t, err, c.as)
			}
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
	in := inner(gtc.Offer([]byte("token")))
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
	in := inner(mschapv2.Offer(mschapv2.Config{User: "carol", Password: []byte(password)}))
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
					server.NewPEAP(server.PEAPConfig{Config: server.Config{TLS: pki.TLS(tlsVersion), FragmentSize: 400}, Inner: &md5Server{}, Bind: true})
			})
		})
	}
}

func FuzzInside(f *testing.F) {
	f.Add([]byte{1}, []byte{1, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 1})
	f.Add([]byte{4, 1, 2}, peapmsg.Result{Status: 1, Binding: make([]byte, 56)}.AppendBinary([]byte{1, 1, 0, 71, 33}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := inner()
		defer in.peer.Close()
		for _, d := range [][]byte{a, b} {
			out, err := in.Receive(3, d)
			if err == nil && len(out) == 0 && !in.ended {
				t.Fatal("no answer")
			}
		}
	})
}
