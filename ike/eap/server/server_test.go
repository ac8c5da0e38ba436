package server

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/eaptest"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlspeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers what is said in the tunnel until that is "bye" or "bad".
type echo struct {
	greeting []byte
	heard    []string
	ids      []uint8
}

func (e *echo) Greet(tls.ConnectionState) ([]byte, error) { return e.greeting, nil }

func (e *echo) Receive(id uint8, app []byte) ([]byte, bool, error) {
	e.heard, e.ids = append(e.heard, string(app)), append(e.ids, id)
	if string(app) == "bad" {
		return nil, false, errors.New("bad word")
	}
	return app, string(app) == "bye", nil
}

// talker says words in the tunnel, one an answer, then nothing.
type talker struct {
	words []string
	heard []string
}

func (k *talker) Enter(tls.ConnectionState) {}
func (k *talker) First() ([]byte, error)    { return k.next(), nil }
func (k *talker) Accepts() bool             { return true }

func (k *talker) Receive(_ uint8, app []byte) ([]byte, error) {
	k.heard = append(k.heard, string(app))
	return k.next(), nil
}

func (k *talker) next() []byte {
	if len(k.words) == 0 {
		return nil
	}
	w := k.words[0]
	k.words = k.words[1:]
	return []byte(w)
}

func converse(t *testing.T, version uint16, words []string, in *echo) (*eaptest.Run, *talker, *Server) {
	pki := eaptest.NewPKI(t)
	k := &talker{words: words}
	p := eap.NewPeer(eap.Config{Methods: []eap.Offer{eap.OfferOf(eap.TypeTTLS, func() (*tlspeer.Conn, error) { return tlspeer.New(tlskind.TTLS, tlspeer.Config{TLS: pki.Peer()}, k) })}})
	t.Cleanup(p.Close)
	s := newServer(tlskind.TTLS, Config{TLS: pki.TLS(version), FirstID: 0xff}, in)
	t.Cleanup(s.Close)
	return eaptest.Converse(t, p, s), k, s
}

func TestConversation(t *testing.T) {
	for name, version := range eaptest.Versions {
		t.Run(name, func(t *testing.T) {
			in := &echo{}
			r, k, s := converse(t, version, []string{"one", "two", "bye"}, in)
			require.NoError(t, r.ClientErr)
			require.NoError(t, r.ServerErr)
			require.Equal(t, []string{"one", "two", "bye"}, in.heard)
			require.Equal(t, in.heard, k.heard, "the last words arrive before the Success")
			require.True(t, s.Tunnel())
			require.Len(t, s.MSK(), 64)
			require.Equal(t, in.ids[0]+1, in.ids[1], "each answer has the next identifier")

			in = &echo{}
			r, _, _ = converse(t, version, []string{"one", "bad"}, in)
			require.ErrorContains(t, r.ServerErr, "bad word")
			require.ErrorIs(t, r.ClientErr, eap.ErrFailure)
		})
	}
}

func TestGreeting(t *testing.T) {
	in := &echo{greeting: []byte("hello")}
	r, k, _ := converse(t, tls.VersionTLS12, []string{"bye"}, in)
	require.NoError(t, r.ClientErr)
	require.Equal(t, []string{"hello", "bye"}, k.heard, "together with the end of the handshake")
}

func TestUnexpectedResponses(t *testing.T) {
	pki := eaptest.NewPKI(t)
	response := func(id uint8, typ eap.Type, data ...byte) []byte {
		b, err := eap.Packet{Code: eap.CodeResponse, ID: id, Type: typ, Data: data}.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	for name, b := range map[string][]byte{
		"other identifier":  response(8, eap.TypeTTLS, 0, 1),
		"other method":      response(7, eap.TypePEAP, 0, 1),
		"start":             response(7, eap.TypeTTLS, 0x20),
		"nothing to say":    response(7, eap.TypeTTLS, 0),
		"other version":     response(7, eap.TypeTTLS, 1, 2),
		"no TLS":            response(7, eap.TypeTTLS, 0, 'H', 'T', 'T', 'P', '/'),
		"request":           {1, 7, 0, 6, 21, 0},
		"truncated":         {2, 7, 0},
		"length of nothing": response(7, eap.TypeTTLS, 0x80, 0xff, 0xff, 0xff, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(tlskind.TTLS, Config{TLS: pki.TLS(tls.VersionTLS13), FirstID: 7}, &echo{})
			defer s.Close()
			start, err := eap.Parse(s.Start())
			require.NoError(t, err)
			require.Equal(t, []byte{0x20}, start.Data)
			packet, status, err := s.Handle(b)
			if status == eap.StatusContinue { // the alert goes first
				require.NoError(t, err)
				packet, status, err = s.Handle(response(8, eap.TypeTTLS, 0))
			}
			require.Error(t, err)
			require.Equal(t, eap.StatusFailure, status)
			require.Equal(t, byte(eap.CodeFailure), packet[0])
			require.Nil(t, s.MSK())
			_, status, err = s.Handle(b)
			require.Error(t, err, "after the end")
			require.Equal(t, eap.StatusFailure, status)
		})
	}
}

func FuzzServer(f *testing.F) {
	pki := eaptest.NewPKI(f)
	f.Add([]byte{0, 0x16, 3, 1, 0, 1, 1}, []byte{0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := newServer(tlskind.TTLS, Config{TLS: pki.TLS(tls.VersionTLS13)}, &echo{})
		defer s.Close()
		for id, data := range [][]byte{a, b} {
			p, err := eap.Packet{Code: eap.CodeResponse, ID: uint8(id), Type: eap.TypeTTLS, Data: data}.AppendBinary(nil)
			if err != nil {
				t.Skip()
			}
			if _, status, _ := s.Handle(p); status == eap.StatusSuccess {
				t.Fatal("a client without TLS was let in")
			}
		}
	})
}
