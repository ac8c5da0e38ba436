package eap_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/eaptls"
	"github.com/gotnc/gotnc/ike/eap/internal/eaptest"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/peap"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/internal/base/log"
)

// framing is what the methods on TLS have in common in their configurations.
type framing struct {
	size, maxMessages int
	length            bool
	logger            *slog.Logger
}

// methods makes both ends of each method on TLS.
func methods(pki *eaptest.PKI) map[string]func(framing) (eap.Offer, eaptest.Server) {
	inner := eap.Config{Identity: "carol", Methods: []eap.Offer{md5.Offer([]byte("secret"))}}
	srv := server.Config{TLS: pki.TLS(tls.VersionTLS13)}
	return map[string]func(framing) (eap.Offer, eaptest.Server){
		"EAP_TLS": func(f framing) (eap.Offer, eaptest.Server) {
			cfg := pki.Peer()
			cfg.Certificates = []tls.Certificate{pki.Client}
			return eaptls.Offer(eaptls.Config{TLS: cfg, FragmentSize: f.size, MaxMessages: f.maxMessages, OmitLength: !f.length, Logger: f.logger}),
				server.NewTLS(srv)
		},
		"EAP_TTLS": func(f framing) (eap.Offer, eaptest.Server) {
			return ttls.Offer(ttls.Config{TLS: pki.Peer(), Inner: inner, FragmentSize: f.size, MaxMessages: f.maxMessages, OmitLength: !f.length, Logger: f.logger}),
				server.NewTTLS(server.TTLSConfig{Config: srv, Inner: &md5Inner{}})
		},
		"EAP_PEAP": func(f framing) (eap.Offer, eaptest.Server) {
			return peap.Offer(peap.Config{TLS: pki.Peer(), Inner: inner, FragmentSize: f.size, MaxMessages: f.maxMessages, IncludeLength: f.length, Logger: f.logger}),
				server.NewPEAP(server.PEAPConfig{Config: srv, Inner: peapInner{&md5Inner{}}})
		},
	}
}

// md5Inner asks for the password "secret" inside of EAP-TTLS.
type md5Inner struct{ challenge *server.MD5 }

func (s *md5Inner) Handle(response []byte) ([]byte, error) { return s.handle(1, response) }

func (s *md5Inner) handle(id uint8, response []byte) ([]byte, error) {
	res, err := eap.Parse(response)
	if err != nil {
		return nil, err
	}
	if s.challenge == nil {
		c, data, err := server.NewMD5(id)
		if err != nil {
			return nil, err
		}
		s.challenge = c
		return eap.Packet{Code: eap.CodeRequest, ID: id, Type: eap.TypeMD5, Data: data}.AppendBinary(nil)
	}
	if !s.challenge.Verify(res.Data, []byte("secret")) {
		return nil, errors.New("wrong password")
	}
	return nil, nil
}

// peapInner is md5Inner inside of PEAP.
type peapInner struct{ *md5Inner }

func (s peapInner) Handle(id uint8, response []byte) ([]byte, error) { return s.handle(id, response) }
func (peapInner) MSK() []byte                                        { return nil }

// recorder keeps the Type-Data of what the client sends.
type recorder struct {
	eaptest.Server
	t    *testing.T
	sent [][]byte
}

func (r *recorder) Handle(response []byte) ([]byte, eap.Status, error) {
	p, err := eap.Parse(response)
	require.NoError(r.t, err)
	r.sent = append(r.sent, bytes.Clone(p.Data))
	return r.Server.Handle(response)
}

// The Message Length is in the first of several fragments, and in packets that
// are not fragmented as configured (strongSwan's include_length).
func TestMessageLength(t *testing.T) {
	const flagLength, flagMore = 0x80, 0x40
	pki := eaptest.NewPKI(t)
	for name, both := range methods(pki) {
		for _, length := range []bool{true, false} {
			var sent [][]byte
			for _, size := range []int{150, 4000} {
				offer, srv := both(framing{size: size, length: length})
				peer, rec := eap.NewPeer(eap.Config{Methods: []eap.Offer{offer}}), &recorder{Server: srv, t: t}
				run := eaptest.Converse(t, peer, rec)
				require.NoError(t, run.ClientErr, name)
				peer.Close()
				srv.Close()
				sent = append(sent, rec.sent...)
			}
			whole, fragmented, more := 0, 0, false
			for _, data := range sent {
				switch first := !more; {
				case data[0]&flagMore != 0:
					require.Equal(t, first, data[0]&flagLength != 0, "%s: a fragment", name)
					fragmented++
				case more:
					require.Zero(t, data[0]&flagLength, "%s: the last fragment", name)
				case len(data) > 1:
					require.Equal(t, length, data[0]&flagLength != 0, "%s: not fragmented", name)
					whole++
				}
				more = data[0]&flagMore != 0
			}
			require.Positive(t, whole, name)
			require.Positive(t, fragmented, name)
		}
	}
}

// The start packet and acknowledgements count; the packet beyond the limit ends
// the conversation, as with strongSwan's max_message_count.
func TestMessageCount(t *testing.T) {
	pki := eaptest.NewPKI(t)
	for name, both := range methods(pki) {
		converse := func(limit int) (*eaptest.Run, string) {
			var text bytes.Buffer
			offer, srv := both(framing{maxMessages: limit, logger: log.NewWriter(&text, slog.LevelInfo)})
			peer := eap.NewPeer(eap.Config{Methods: []eap.Offer{offer}})
			defer srv.Close()
			defer peer.Close()
			return eaptest.Converse(t, peer, srv), text.String()
		}
		run, _ := converse(0)
		require.NoError(t, run.ClientErr, name)
		packets := run.Exchanges // each but the Success, which has no type
		require.Greater(t, packets, 2, name)

		run, _ = converse(packets)
		require.NoError(t, run.ClientErr, name)

		run, text := converse(packets - 1)
		require.Equal(t, eap.StatusFailure, run.Status)
		require.Equal(t, packets-1, run.Exchanges, name)
		var many *eap.MessageCountError
		require.ErrorAs(t, run.ClientErr, &many)
		require.Equal(t, packets-1, many.Limit)
		require.Equal(t, name, many.Type.String())
		require.Contains(t, text, fmt.Sprintf("[TLS] %s packet count exceeded (%d > %d)\n", name, packets, packets-1))
	}
}
