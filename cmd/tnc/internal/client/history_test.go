package client

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/tnccs"
)

// asNobody calls f with the rights that a user without any has on files.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: it becomes nobody")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _ = unix.SetfsuidRetUid(65534)
	_, _ = unix.SetfsgidRetGid(65534)
	defer func() {
		_, _ = unix.SetfsuidRetUid(0)
		_, _ = unix.SetfsgidRetGid(0)
	}()
	f()
}

// Everyone may ask for the state and read the history, also where a service has a umask
// that lets nobody read; only who may control a connection ends it or attests it again.
func TestEveryoneMayAsk(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	dir := RunDir(t.TempDir() + "/run")
	require.NoError(t, os.Chmod(strings.TrimSuffix(string(dir), "/run"), 0o755))
	require.NoError(t, os.Chmod(strings.TrimSuffix(string(dir), "/001/run"), 0o755))
	s := newSite(t, func(c *gateway.Config) {
		c.Policy.Force, c.Policy.Reason = imv.Isolate, "/etc/agent.conf: content differs"
	})
	s.name = "a b"
	_, end := s.runUp(func(cfg *Config) { cfg.RunDir = dir })
	asNobody(t, func() {
		all, err := dir.Statuses(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "a b", all[0].Connection)
		require.Equal(t, Up, all[0].State)
		require.Equal(t, Isolated, all[0].Recommendation)
		require.WithinDuration(t, time.Now(), all[0].LastHeard, time.Minute)
		require.Equal(t, []string{"a b"}, dir.Names())
		events, err := dir.History("a b")
		require.NoError(t, err)
		require.Equal(t, EventUp, events[0].Kind)
		_, err = dir.Down(t.Context(), "a b")
		var denied *DeniedError
		require.ErrorAs(t, err, &denied)
		_, err = dir.Reattest(t.Context(), "a b")
		require.ErrorAs(t, err, &denied)
		_, err = os.ReadFile(dir.file("a b", recordExt))
		require.ErrorIs(t, err, os.ErrPermission)
	})
	// The socket for everyone tells the state, whatever is said to it.
	for _, word := range []string{"", "down", "reattest", "rekey"} {
		conn, err := net.Dial("unix", dir.file("a b", statusExt))
		require.NoError(t, err)
		fmt.Fprintln(conn, word)
		var st Status
		require.NoError(t, json.NewDecoder(conn).Decode(&st))
		require.Equal(t, Up, st.State)
		conn.Close()
	}
	require.NoError(t, end())
	events, err := dir.History("a b")
	require.NoError(t, err)
	require.Equal(t, EventEnded, events[len(events)-1].Kind)
	left, err := os.ReadDir(string(dir))
	require.NoError(t, err)
	for _, f := range left {
		require.NotContains(t, f.Name(), statusExt)
		require.NotContains(t, f.Name(), socketExt)
	}
	_, err = dir.History("other")
	require.ErrorContains(t, err, `"other" was not up`)
}

// reattest attests again, waits for the decision and returns it.
func TestReattest(t *testing.T) {
	dir := RunDir(t.TempDir())
	s := newSite(t, nil)
	c, end := s.runUp(func(cfg *Config) { cfg.RunDir = dir })
	before := c.Status().Attested
	e, err := dir.Reattest(t.Context(), "home")
	require.NoError(t, err)
	require.Equal(t, EventReattested, e.Kind)
	require.Equal(t, Allowed, e.Recommendation)
	require.True(t, c.Status().Attested.After(before))
	require.Equal(t, Up, c.Status().State)

	// A gateway that is silent from now on: the connection stays, and says what it waits for.
	require.NoError(t, end())
	_, err = dir.Reattest(t.Context(), "home")
	require.ErrorIs(t, err, ErrNotUp)
	events, err := dir.History("home")
	require.NoError(t, err)
	var kinds []EventKind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []EventKind{EventUp, EventReattested, EventEnded}, kinds)
}

// The history is bounded, in events and in what strangers put into each.
func TestHistoryIsBounded(t *testing.T) {
	dir := RunDir(t.TempDir())
	f, err := dir.lock("home")
	require.NoError(t, err)
	defer f.close()
	long := tnccs.Outcome{Recommendation: tnccs.RecommendIsolate}
	for range 100 {
		long.Reasons = append(long.Reasons, tnccs.Reason{Text: strings.Repeat("x", 1<<16), Language: "en"})
	}
	d := NewDecision(&long).clipped()
	require.Len(t, d.Reasons, maxSentences)
	for i := range MaxHistory + 50 {
		e := Event{Kind: EventUp, PID: i, Connection: "home"}
		if i%100 == 99 {
			e.Decision = d
		}
		require.NoError(t, f.appendHistory(e))
	}
	events, err := dir.History("home")
	require.NoError(t, err)
	require.Len(t, events, MaxHistory)
	require.Equal(t, 50, events[0].PID)
	require.Equal(t, MaxHistory+49, events[MaxHistory-1].PID)
	require.LessOrEqual(t, len(events[49].Reasons[0].Text), maxSentence+len("…"))

	// A line that was cut, and what is no event, are left out.
	path := dir.file("home", historyExt)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, `{"event":"u`...), 0o644))
	require.NoError(t, f.appendHistory(Event{Kind: EventEnded}))
	events, err = dir.History("home")
	require.NoError(t, err)
	require.Len(t, events, MaxHistory)
	require.Equal(t, EventEnded, events[MaxHistory-1].Kind)
}
