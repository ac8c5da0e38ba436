package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// datagrams collects what is sent to a socket.
type datagrams struct {
	mu  sync.Mutex
	all []string
}

func collect(t *testing.T, path string) *datagrams {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	d := &datagrams{}
	go func() {
		for b := make([]byte, 1<<16); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			d.mu.Lock()
			d.all = append(d.all, string(b[:n]))
			d.mu.Unlock()
		}
	}()
	return d
}

func (d *datagrams) with(text string) (found []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.all {
		if strings.Contains(s, text) {
			found = append(found, s)
		}
	}
	return found
}

// tnc up as a service of Type=notify: ready once it is up, its watchdog is fed, each decision
// is in the journal and in the history; status, reattest, history and down answer.
func TestUpAsAService(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		c.Policy.Force, c.Policy.Reason = imv.Isolate, "/etc/agent.conf: content differs"
	})
	t.Setenv("TNC_RUN_DIR", s.path("run"))
	manager, journal := collect(t, s.path("notify")), collect(t, s.path("journal"))
	t.Setenv("NOTIFY_SOCKET", s.path("notify"))
	t.Setenv("WATCHDOG_USEC", "200000")
	old := journalSocket
	journalSocket = s.path("journal")
	defer func() { journalSocket = old }()
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: a connection without a data plane has a control socket only then")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"up", "home", "--dataplane", "none"}, s.args...), &stdout, &stderr)
	}()
	require.Eventually(t, func() bool { return len(manager.with("READY=1")) == 1 }, 30*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return len(manager.with("WATCHDOG=1")) > 2 }, 30*time.Second, 20*time.Millisecond)
	require.Contains(t, manager.with("READY=1")[0], "STATUS=home: up, isolated")
	var entries []string
	require.Eventually(t, func() bool {
		entries = journal.with("TNC_RECOMMENDATION=isolated\n")
		return len(entries) == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, entries[0], "TNC_REASON=/etc/agent.conf: content differs\n")

	out, _, code := runTNC(t, "status")
	require.Zero(t, code)
	for _, says := range []string{"isolated", "reason", "/etc/agent.conf: content differs", "last heard", "tnc reattest home"} {
		require.Contains(t, out, says)
	}
	out, _, code = runTNC(t, "status", "--prometheus")
	require.Zero(t, code)
	require.Contains(t, out, `tnc_recommendation{connection="home",recommendation="isolated"} 1`)
	out, errs, code := runTNC(t, "reattest", "home")
	require.Equal(t, report.ExitIsolated, code, errs)
	require.Contains(t, out, "/etc/agent.conf: content differs")
	require.Eventually(t, func() bool { return len(journal.with("TNC_EVENT=reattested\n")) == 1 }, 10*time.Second, 10*time.Millisecond)
	out, _, code = runTNC(t, "history", "home", "--json", "--last", "2")
	require.Zero(t, code)
	require.Contains(t, out, `"event": "up"`)
	require.Contains(t, out, `"event": "reattested"`)
	_, errs, code = runTNC(t, "down", "home", "--json")
	require.Zero(t, code, errs)
	require.Equal(t, report.ExitIsolated, <-ended)
	require.Eventually(t, func() bool { return len(manager.with("STOPPING=1")) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.NotContains(t, stderr.String(), "[IKE]", "quiet")
	require.Contains(t, stderr.String(), "home: attested again, isolated")
	require.Contains(t, stdout.String(), "isolated")
	out, _, code = runTNC(t, "history", "home")
	require.Zero(t, code)
	require.Contains(t, out, "ended")
	_, err := os.Stat(filepath.Join(s.path("run"), "home.status"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
