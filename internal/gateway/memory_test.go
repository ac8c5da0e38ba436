package gateway_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// A preshared key, without sockets: the datagrams of both ends in order.
func TestPresharedKeyInMemory(t *testing.T) {
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	at, from := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("192.0.2.2:4500")
	id := func(s string) ike.Identity {
		i, err := ike.ParseIdentity(s)
		require.NoError(t, err)
		return i
	}
	for key, want := range map[string]error{"secret": nil, "wrong": ike.ErrAuthFailed} {
		var inbox [][]byte
		g, err := gateway.InMemory(gateway.Config{Identity: serverName, Certificate: cert, PSK: []byte("secret")}, at,
			func(to netip.AddrPort, b []byte) {
				require.Equal(t, from, to)
				inbox = append(inbox, b)
			})
		require.NoError(t, err)
		ts, err := ike.ParseTrafficSelector("10.1.0.0/16")
		require.NoError(t, err)
		m, err := ike.New(ike.Config{
			Local: from, Remote: at,
			LocalRounds: []ike.LocalRound{{ID: id("carol@strongswan.org"), PSK: []byte(key)}},
			RemoteRounds: []ike.RemoteRound{{ID: id(serverName), Method: ike.RemotePSK,
				PSK: func(ike.Identity) ([]byte, error) { return []byte(key), nil }}},
			Children: []ike.ChildConfig{{RemoteTS: []ike.TrafficSelector{ts}}},
		})
		require.NoError(t, err)
		now := time.Unix(1700000000, 0)
		var child *ike.ChildSA
		var failed error
		run := func(out ike.Outputs) {
			for _, e := range out.Events {
				switch e := e.(type) {
				case ike.ChildEstablished:
					child = e.Child
				case ike.Failed:
					failed = e.Err
				}
			}
			for _, p := range out.Packets {
				g.Deliver(now, from, append([]byte{0, 0, 0, 0}, p.Data...))
			}
		}
		run(m.Start(now))
		for len(inbox) > 0 {
			b := inbox[0]
			inbox = inbox[1:]
			run(m.Handle(now, ike.Datagram{From: at, To: from, Data: b[4:]}))
		}
		require.Equal(t, want == nil, child != nil)
		require.True(t, errors.Is(failed, want), "%v", failed)
		require.Equal(t, want == nil, g.Report().Last().State == gateway.Established)
		m.Close()
		require.NoError(t, g.Close())
	}
}
