package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// stay runs tnc up until the gateway has seen as many IKE_SAs that came
// up, then ends it, and returns what was logged and the exit code.
func (s *site) stay(ikeSAs int, more ...string) (log string, code int) {
	s.t.Helper()
	s.t.Setenv("TNC_RUN_DIR", filepath.Join(s.dir, "run"))
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	f, err := os.Create(s.path("log"))
	require.NoError(s.t, err)
	defer f.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(append([]string{"up", "home", "-v", "--dataplane", "none"}, s.args...), more...), io.Discard, f)
	}()
	established := func() (n int) {
		for _, c := range s.gw.Report().Clients {
			if c.State == gateway.Established || c.State == gateway.Deleted {
				n++
			}
		}
		return n
	}
	require.Eventually(s.t, func() bool { return established() >= ikeSAs }, 30*time.Second, 20*time.Millisecond, "IKE_SAs that came up")
	cancel()
	select {
	case code = <-ended:
	case <-time.After(30 * time.Second):
		require.Fail(s.t, "tnc up did not end")
	}
	b, err := os.ReadFile(s.path("log"))
	require.NoError(s.t, err)
	return string(b), code
}

// --reattest makes a new IKE_SA with an attestation at that interval, and ends
// the previous one.
func TestReattestOnATimer(t *testing.T) {
	s := newSite(t, nil)
	log, code := s.stay(3, "--reattest", "300ms")
	require.Equal(t, report.ExitAllowed, code, log)
	require.Contains(t, log, "it is time to attest again")
	require.Contains(t, log, "deleting IKE_SA home[1]")
	for _, c := range s.gw.Report().Clients {
		require.NotEqual(t, gateway.Failed, c.State, c.Failure)
	}
}

// A REDIRECT of IKE_SA_INIT, which nothing protects, to where nobody answers must
// not keep the client from its gateway for good.
func TestRedirectToNobodyIsForgotten(t *testing.T) {
	s := newSite(t, nil)
	s.t.Setenv("TNC_RUN_DIR", filepath.Join(s.dir, "run"))
	fake, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer fake.Close()
	port := fake.LocalAddr().(*net.UDPAddr).Port
	s.replace("swanctl.conf", fmt.Sprintf("remote_port = %d", s.addr.Port()), fmt.Sprintf("remote_port = %d\n    keyingtries = 0", port))
	s.replace("strongswan.conf", "retransmit_tries = 1", "retransmit_tries = 0")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"up", "home", "--dataplane", "none"}, s.args...), io.Discard, io.Discard)
	}()
	defer func() { cancel(); <-ended }()
	require.NoError(t, fake.SetDeadline(time.Now().Add(30*time.Second)))
	var seen message.SPI
	for b := make([]byte, 4096); ; {
		n, from, err := fake.ReadFrom(b)
		require.NoError(t, err, "the client does not come back")
		m, err := message.Parse(b[4:n]) // after the non-ESP marker
		require.NoError(t, err)
		if seen != 0 && m.SPIi != seen {
			require.Nil(t, m.Notify(message.RedirectedFrom), "nobody sent it here")
			return
		}
		seen = m.SPIi
		ni, _ := message.First[*message.Nonce](m.Payloads)
		answer := &message.Message{
			Header: message.Header{SPIi: m.SPIi, SPIr: 1, Exchange: message.IKESAInit, Flags: message.FlagResponse},
			Payloads: []message.Payload{&message.Notify{NotifyType: message.Redirect,
				Data: append([]byte{1, 4, 127, 0, 0, 2}, ni.Data...)}},
		}
		out, err := answer.AppendBinary(make([]byte, 4))
		require.NoError(t, err)
		_, err = fake.WriteTo(out, from)
		require.NoError(t, err)
	}
}

// An IMC asks for a new handshake (RequestHandshakeRetry): the client attests
// again over a new IKE_SA.
func TestReattestWhenAnIMCAsks(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = imv.Isolate })
	b, err := os.ReadFile(s.path("strongswan.conf"))
	require.NoError(t, err)
	s.write("strongswan.conf", string(b)+"libimcv {\n plugins {\n  imc-attestation {\n   retry = yes\n  }\n }\n}\n")
	log, code := s.stay(2)
	require.Equal(t, report.ExitIsolated, code, log)
	require.Contains(t, log, "an IMC asks for a new handshake")
}
