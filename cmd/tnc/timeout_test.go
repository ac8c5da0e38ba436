package main

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// --timeout ends what comes to no outcome, with a sentence and an exit code of its
// own; what has come to one in time goes on.
func TestTimeout(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Faults.Silent = true })
	s.write("strongswan.conf", "charon {\n port = 0\n port_nat_t = 0\n}\n")
	for _, cmd := range [][]string{{"attest", "home"}, {"up", "home", "--dataplane", "none"}} {
		start := time.Now()
		out, stderr, code := runTNC(t, append(append(cmd, s.args...), "--timeout", "1s", "--json")...)
		require.Equal(t, report.ExitTimeout, code)
		require.Less(t, time.Since(start), 20*time.Second)
		oneSentence(t, stderr, "no outcome within 1s, the time of --timeout: 127.0.0.1: no answer from the gateway so far")
		var o report.Outcome
		require.NoError(t, json.Unmarshal([]byte(out), &o))
		require.Equal(t, report.ExitTimeout, o.ExitCode)
		require.Contains(t, stderr, o.Error)
		require.Equal(t, s.addr.String(), o.Gateway)
	}
	s = newSite(t, nil)
	_, stderr, code := s.attest("--timeout", "50s")
	require.Equal(t, report.ExitAllowed, code, stderr)
	for _, bad := range []string{"-1s", "soon"} {
		_, _, code = s.attest("--timeout", bad)
		require.Equal(t, report.ExitUsage, code)
	}
}

func TestPTTLSTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes what it gets, and says nothing
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	s := newPTSite(t, pttlstest.AuthNone, imv.Policy{})
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	args := append(append([]string{}, s.args...), "--port", port, "--timeout", "500ms")
	_, stderr, code := runTNC(t, args...)
	require.Equal(t, report.ExitTimeout, code)
	oneSentence(t, stderr, "no outcome within 500ms, the time of --timeout")
	_, stderr, code = runTNC(t, append(s.args, "--timeout", "50s")...)
	require.Equal(t, report.ExitAllowed, code, stderr)
}

// Each address of the gateway that failed is in the sentence, and in --json with
// its reason.
func TestEachAddressIsReported(t *testing.T) {
	s := newSite(t, nil)
	s.replace("swanctl.conf", "remote_addrs = "+s.addr.Addr().String(), "remote_addrs = fe80::1, 127.0.0.9")
	out, stderr, code := s.attest("--json")
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "no address of the gateway led to a connection", "fe80::1: no route to fe80::1", "127.0.0.9: no answer from the gateway", `check remote_addrs of connection "home"`)
	var o report.Outcome
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.Len(t, o.Attempts, 2)
	for i, host := range []string{"fe80::1", "127.0.0.9"} {
		require.Equal(t, host, o.Attempts[i].Host)
		require.True(t, strings.HasPrefix(strings.Trim(o.Attempts[i].Address, "["), host))
		require.NotEmpty(t, o.Attempts[i].Error)
		require.WithinDuration(t, time.Now(), o.Attempts[i].At, time.Minute)
	}
	s.replace("swanctl.conf", "remote_addrs = fe80::1, 127.0.0.9", "remote_addrs = nosuch.invalid")
	_, stderr, code = s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "find the gateway's address", `check remote_addrs of connection "home" and the name service`)
}
