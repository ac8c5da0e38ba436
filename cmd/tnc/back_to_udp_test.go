package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// upBeside runs `tnc up home -v` beside the test, and ends it with the test. What it
// returns reports whether the log has a text that often.
func upBeside(t *testing.T, s *site) (said func(text string, times int) func() bool) {
	t.Helper()
	end := s.begin()
	t.Cleanup(func() {
		require.Equal(t, report.ExitAllowed, end())
		if t.Failed() {
			t.Log(s.log())
		}
	})
	return func(text string, times int) func() bool {
		return func() bool {
			b, err := os.ReadFile(s.path("log"))
			return err == nil && bytes.Count(b, []byte(text)) >= times
		}
	}
}

// A connection over TCP says so in tnc status, tries UDP now and then, and goes back
// to UDP when that works again; there is a connection all the time.
func TestBackToUDP(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.ListenTCP = "127.0.0.1:0" })
	s.gw.BlockUDP(true)
	s.write("strongswan.conf", fmt.Sprintf("charon {\n port = 0\n port_nat_t = 0\n retransmit_timeout = 0.5\n retransmit_tries = 2\n}\ntnc {\n tcp_after = 1\n udp_again = 2\n tcp_port = %d\n}\n", s.gw.AddrTCP().Port()))
	said := upBeside(t, s)
	inJSON := func() string {
		var out bytes.Buffer
		var all []client.Status
		if run(t.Context(), []string{"status", "home", "--json"}, &out, io.Discard) != report.ExitAllowed ||
			json.Unmarshal(out.Bytes(), &all) != nil || len(all) != 1 {
			return ""
		}
		return all[0].Transport
	}
	// transport is what tnc status says for scripts and for people, "" while there is
	// no connection or it changes.
	transport := func() string {
		before, text := inJSON(), new(bytes.Buffer)
		if code := run(t.Context(), []string{"status", "home"}, text, io.Discard); before == "" || code != report.ExitAllowed || inJSON() != before {
			return ""
		}
		assert.Equal(t, before == client.TransportTCP, bytes.Contains(text.Bytes(), []byte(" over TCP")), "%s: %s", before, text)
		return before
	}
	require.Eventually(t, func() bool { return transport() == client.TransportTCP }, 30*time.Second, 50*time.Millisecond, "not over TCP")
	require.Eventually(t, said("UDP does not work yet, staying with TCP", 1), 30*time.Second, 50*time.Millisecond)
	require.Equal(t, client.TransportTCP, transport())

	s.gw.BlockUDP(false)
	require.Eventually(t, func() bool { return transport() == client.TransportUDP }, 30*time.Second, 50*time.Millisecond)
	require.True(t, said("UDP works again, leaving TCP", 1)())
	require.Eventually(t, func() bool {
		established := 0
		for _, c := range s.gw.Report().Clients {
			if c.State == gateway.Established {
				established++
			}
		}
		return established == 1
	}, 30*time.Second, 50*time.Millisecond, "the IKE_SA over TCP ends")
	time.Sleep(3 * time.Second) // UDP is not tried any more
	b, err := os.ReadFile(s.path("log"))
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(b, []byte("UDP works again, leaving TCP")))
	require.Equal(t, client.TransportUDP, transport())
}

// A gateway that takes no IKE_SA to another TCP connection, as libreswan's, gets a new
// IKE_SA where the connection breaks: tnc goes on.
func TestTCPBoundGateway(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.ListenTCP, c.TCPBound = "127.0.0.1:0", true })
	s.write("strongswan.conf", fmt.Sprintf("charon {\n port = 0\n port_nat_t = 0\n}\ntnc {\n encap_tcp = yes\n tcp_port = %d\n}\n", s.gw.AddrTCP().Port()))
	said := upBeside(t, s)
	require.Eventually(t, said("CHILD_SA home{1} established", 1), 30*time.Second, 20*time.Millisecond)
	for n := 2; n <= 3; n++ {
		require.NotZero(t, s.gw.DropTCP())
		require.Eventually(t, said("CHILD_SA home{1} established", n), 60*time.Second, 20*time.Millisecond, "no new IKE_SA")
		require.Eventually(t, func() bool {
			return len(s.gw.Report().Clients) > 0 && s.gw.Report().Clients[len(s.gw.Report().Clients)-1].State == gateway.Established
		}, 30*time.Second, 20*time.Millisecond)
	}
	require.True(t, said("the gateway ends every new TCP connection", 2)())
}
