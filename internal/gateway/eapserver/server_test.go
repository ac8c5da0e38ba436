package eapserver

import (
	"crypto/md5"
	"crypto/tls"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTNC answers every batch with replies in order.
type fakeTNC struct {
	replies [][]byte
	allowed bool
	closed  int
}

func (f *fakeTNC) Receive([]byte) ([]byte, error) {
	if len(f.replies) == 0 {
		return nil, nil
	}
	r := f.replies[0]
	f.replies = f.replies[1:]
	if r == nil {
		return nil, errors.New("bad batch")
	}
	return r, nil
}
func (f *fakeTNC) Done() bool    { return len(f.replies) == 0 }
func (f *fakeTNC) Allowed() bool { return f.allowed }
func (f *fakeTNC) Close()        { f.closed++ }

func newServer(t *testing.T, edit func(*Config)) *Server {
	t.Helper()
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("moon", testpki.ECDSA, nil)
	require.NoError(t, err)
	cfg := Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Users: map[string]string{"carol": "secret"}, Methods: []eap.Type{eap.TypeMD5}}
	if edit != nil {
		edit(&cfg)
	}
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func response(t eap.Type, id uint8, data []byte) []byte {
	return encode(eap.Packet{Code: eap.CodeResponse, ID: id, Type: t, Data: data})
}

func TestInnerMethodsInOrder(t *testing.T) {
	tnc := &fakeTNC{replies: [][]byte{[]byte("SDATA")}, allowed: true}
	s := newServer(t, func(c *Config) {
		c.Methods = []eap.Type{eap.TypeMD5, eap.TypePT}
		c.NewTNC = func(identity string) (TNCServer, error) {
			require.Equal(t, "carol", identity)
			return tnc, nil
		}
	})
	req, err := s.inner.handle(response(eap.TypeIdentity, 0, []byte("carol")))
	require.NoError(t, err)
	p, err := eap.Parse(req)
	require.NoError(t, err)
	require.Equal(t, eap.TypeMD5, p.Type)
	require.Len(t, p.Data, 17)
	sum := md5.Sum(append(append([]byte{p.ID}, "secret"...), p.Data[1:]...))
	req, err = s.inner.handle(response(eap.TypeMD5, p.ID, append([]byte{16}, sum[:]...)))
	require.NoError(t, err)
	p, err = eap.Parse(req)
	require.NoError(t, err)
	require.Equal(t, eap.TypePT, p.Type)
	require.Equal(t, []byte{0x81}, p.Data)
	req, err = s.inner.handle(response(eap.TypePT, p.ID, []byte("\x01CDATA")))
	require.NoError(t, err)
	p, err = eap.Parse(req)
	require.NoError(t, err)
	require.Equal(t, "\x01SDATA", string(p.Data))
	req, err = s.inner.handle(response(eap.TypePT, p.ID, []byte{0}))
	require.NoError(t, err)
	require.Nil(t, req)
	require.Equal(t, 1, tnc.closed)
	require.Equal(t, "carol", s.Identity())
}

func TestInnerFailures(t *testing.T) {
	identity := response(eap.TypeIdentity, 0, []byte("carol"))
	tnc := func(f *fakeTNC) func(*Config) {
		return func(c *Config) {
			c.Methods = []eap.Type{eap.TypeTNC}
			c.NewTNC = func(string) (TNCServer, error) { return f, nil }
		}
	}
	for name, c := range map[string]struct {
		edit  func(*Config)
		steps [][]byte
	}{
		"no identity":  {nil, [][]byte{response(eap.TypeMD5, 0, []byte{0})}},
		"garbage":      {nil, [][]byte{{1, 2}}},
		"request":      {nil, [][]byte{encode(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeIdentity})}},
		"unknown user": {nil, [][]byte{response(eap.TypeIdentity, 0, []byte("eve")), response(eap.TypeMD5, 1, make([]byte, 17))}},
		"short MD5":    {nil, [][]byte{identity, response(eap.TypeMD5, 1, []byte{16, 1})}},
		"identifier":   {nil, [][]byte{identity, response(eap.TypeMD5, 9, make([]byte, 17))}},
		"Nak":          {nil, [][]byte{identity, response(eap.TypeNak, 1, []byte{26})}},
		"other method": {nil, [][]byte{identity, response(eap.TypeGTC, 1, []byte{26})}},
		"unknown":      {func(c *Config) { c.Methods = []eap.Type{eap.TypeGTC} }, [][]byte{identity}},
		"bad batch":    {tnc(&fakeTNC{replies: [][]byte{nil}}), [][]byte{identity, response(eap.TypeTNC, 1, []byte("\x01x"))}},
		"bad version":  {tnc(&fakeTNC{}), [][]byte{identity, response(eap.TypeTNC, 1, []byte("\x02x"))}},
		"nothing said": {tnc(&fakeTNC{replies: [][]byte{[]byte("x")}}), [][]byte{identity, response(eap.TypeTNC, 1, []byte{1})}},
		"denied":       {tnc(&fakeTNC{}), [][]byte{identity, response(eap.TypeTNC, 1, []byte("\x01x"))}},
		"TNC not there": {func(c *Config) {
			tnc(nil)(c)
			c.NewTNC = func(string) (TNCServer, error) { return nil, errors.New("no") }
		}, [][]byte{identity}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.edit)
			var err error
			for i, b := range c.steps {
				require.NoError(t, err, "step %d", i)
				_, err = s.inner.handle(b)
			}
			require.Error(t, err)
		})
	}
}

func TestOuterExchange(t *testing.T) {
	s := newServer(t, func(c *Config) { c.AskIdentity = true })
	req, status := s.Start()
	require.Equal(t, eap.StatusContinue, status)
	p, err := eap.Parse(req)
	require.NoError(t, err)
	require.Equal(t, eap.TypeIdentity, p.Type)
	req, status, err = s.Handle(response(eap.TypeIdentity, p.ID, []byte("anonymous\x01")))
	require.NoError(t, err)
	require.Equal(t, eap.StatusContinue, status)
	p, err = eap.Parse(req)
	require.NoError(t, err)
	require.Equal(t, eap.TypeTTLS, p.Type)
	require.Equal(t, []byte{0x20}, p.Data)
	out, status, err := s.Handle(response(eap.TypeNak, p.ID, []byte{13}))
	require.ErrorIs(t, err, errMethods)
	require.Equal(t, eap.StatusFailure, status)
	require.Equal(t, []byte{4, p.ID, 0, 4}, out)
	_, status, err = s.Handle(response(eap.TypeTTLS, p.ID, nil))
	require.Error(t, err, "after the end")
	require.Equal(t, eap.StatusFailure, status)

	s = newServer(t, nil)
	s.Start()
	_, status, err = s.Handle([]byte{1})
	require.Error(t, err)
	require.Equal(t, eap.StatusFailure, status)
	require.Nil(t, s.MSK())
	require.Zero(t, s.TLSVersion())

	s = newServer(t, func(c *Config) { c.AskIdentity = true })
	s.Start()
	_, status, err = s.Handle(response(eap.TypeTTLS, 9, []byte{0}))
	require.Error(t, err)
	require.Equal(t, eap.StatusFailure, status)
}
