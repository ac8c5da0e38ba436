package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// stay runs tnc up until the gateway has seen as many IKE_SAs that came up, then ends
// it, and returns what was logged and the exit code.
func (s *site) stay(ikeSAs int, more ...string) (log string, code int) {
	s.t.Helper()
	return s.stayUntil(func() bool { return s.established() >= ikeSAs }, more...)
}

// established counts the IKE_SAs that came up.
func (s *site) established() (n int) {
	for _, c := range s.gw.Report().Clients {
		if c.State == gateway.Established || c.State == gateway.Deleted {
			n++
		}
	}
	return n
}

// stayUntil runs tnc up until met says so, then ends it, and returns what was logged
// and the exit code.
func (s *site) stayUntil(met func() bool, more ...string) (log string, code int) {
	s.t.Helper()
	end := s.begin(more...)
	require.Eventually(s.t, met, 30*time.Second, 20*time.Millisecond, "what tnc up is to do")
	code = end()
	return s.log(), code
}

// begin runs tnc up beside the test until end, which returns the exit code, or until
// the test ends.
func (s *site) begin(more ...string) (end func() (code int)) {
	s.t.Helper()
	s.t.Setenv("TNC_RUN_DIR", filepath.Join(s.dir, "run"))
	f, err := os.Create(s.path("log"))
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	ended := make(chan int, 1)
	go func() {
		defer f.Close()
		ended <- run(ctx, append(append([]string{"up", "home", "-v", "--dataplane", "none"}, s.args...), more...), io.Discard, f)
	}()
	return func() (code int) {
		s.t.Helper()
		cancel()
		select {
		case code = <-ended:
		case <-time.After(30 * time.Second):
			require.Fail(s.t, "tnc up did not end")
		}
		return code
	}
}

// log returns what the last tnc up has logged so far.
func (s *site) log() string {
	s.t.Helper()
	b, err := os.ReadFile(s.path("log"))
	require.NoError(s.t, err)
	return string(b)
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

// An IMC asks for a new handshake (RequestHandshakeRetry) after its session: the client
// attests again over a new IKE_SA. Where it asks after each, the next ones are put off.
func TestReattestWhenAnIMCAsks(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = imv.Allow })
	s.write("tnc_config", "IMC \"Asking\" "+buildIMC(t, "THREAD")+"\n") // 0.1 s after each session begins
	log, code := s.stayUntil(func() bool {
		return strings.Contains(s.log(), "an IMC asks for a new handshake again, which begins in 30s")
	})
	require.Equal(t, report.ExitAllowed, code, log)
	require.Contains(t, log, "making a new IKE_SA for connection 'home': an IMC asks for a new handshake")
	require.Equal(t, 2, s.established(), log)
}

// The retry that an IMC asks for at the decision is made in the same session, so that
// no further IKE_SA follows.
func TestRetryOfTheSession(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = imv.Isolate })
	b, err := os.ReadFile(s.path("strongswan.conf"))
	require.NoError(t, err)
	s.write("strongswan.conf", string(b)+"libimcv {\n plugins {\n  imc-attestation {\n   retry = yes\n  }\n }\n}\n")
	var up time.Time
	log, code := s.stayUntil(func() bool {
		if up.IsZero() && s.established() > 0 {
			up = time.Now()
		}
		return !up.IsZero() && time.Since(up) > 500*time.Millisecond
	})
	require.Equal(t, report.ExitIsolated, code, log)
	require.Equal(t, 1, strings.Count(log, "creating PB-TNC CRETRY batch"), log)
	require.Equal(t, 1, s.established(), log)
	require.NotContains(t, log, "an IMC asks for a new handshake")
}

// The exit code is that of the last decision, also where the end comes amid the next
// attestation.
func TestExitCodeAmidAnAttestation(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = imv.Isolate })
	for n := range 5 {
		log, code := s.stay(2*(n+1), "--reattest", "10ms")
		require.Equal(t, report.ExitIsolated, code, log)
	}
}
