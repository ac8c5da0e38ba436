package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

// receiver is a socket that takes datagrams, as systemd's and journald's.
type receiver struct {
	*net.UnixConn
	t *testing.T
}

func newReceiver(t *testing.T, name string) *receiver {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &receiver{c, t}
}

// next returns the next datagram, or the content of the file that it carries.
func (r *receiver) next() string {
	r.t.Helper()
	require.NoError(r.t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
	b, oob := make([]byte, 1<<20), make([]byte, 256)
	n, k, _, _, err := r.ReadMsgUnix(b, oob)
	require.NoError(r.t, err)
	if k == 0 {
		return string(b[:n])
	}
	messages, err := unix.ParseSocketControlMessage(oob[:k])
	require.NoError(r.t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(r.t, err)
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	require.NoError(r.t, err)
	require.Equal(r.t, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL, seals)
	n, err = f.ReadAt(b, 0)
	require.ErrorContains(r.t, err, "EOF")
	return string(b[:n])
}

// parseEntry takes an entry of the native protocol apart as journald does.
func parseEntry(t *testing.T, entry string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for len(entry) > 0 {
		line, rest, ok := strings.Cut(entry, "\n")
		require.True(t, ok, "each field ends with a newline")
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			n := int(binary.LittleEndian.Uint64([]byte(rest)))
			value, rest = rest[8:8+n], rest[8+n:]
			require.True(t, strings.HasPrefix(rest, "\n"))
			rest = rest[1:]
		}
		require.Regexp(t, regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`), name)
		out[name] = append(out[name], value)
		entry = rest
	}
	return out
}

func TestService(t *testing.T) {
	dir := t.TempDir()
	manager := newReceiver(t, filepath.Join(dir, "notify"))
	journal := newReceiver(t, filepath.Join(dir, "journal"))
	t.Setenv(notifySocket, filepath.Join(dir, "notify"))
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", "")
	s := New(filepath.Join(dir, "journal"))
	_, set := os.LookupEnv(notifySocket)
	require.False(t, set, "IMCs and scripts do not get it")

	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		s.Run(ctx, func() {})
		close(ran)
	}()
	require.Equal(t, "STATUS=connecting\nEXTEND_TIMEOUT_USEC=600000000", manager.next())
	for range 3 {
		require.Equal(t, "WATCHDOG=1", manager.next())
	}
	cancel()
	<-ran
	for manager.SetReadDeadline(time.Now().Add(50*time.Millisecond)) == nil { // one may be on its way
		if _, err := manager.Read(make([]byte, 64)); err != nil {
			break
		}
	}

	happened := func(e client.Event) (told string, entry map[string][]string) {
		t.Helper()
		e.Connection, e.Time = "home", time.Unix(1764400000, 0)
		if e.Recommendation == "" {
			e.Recommendation = client.None
		}
		require.NoError(t, s.Happened(e))
		return manager.next(), parseEntry(t, journal.next())
	}
	told, entry := happened(client.Event{Kind: client.EventFailed, NextAttempt: time.Unix(1764400002, 0), Failure: client.Failure{Error: "no answer\x1b", ErrorCode: "no_answer"}})
	require.Equal(t, "STATUS=home: failed: no answer ; next try in 2s\nEXTEND_TIMEOUT_USEC=600000000", strings.ReplaceAll(told, "\x1b", "!"))
	require.Equal(t, []string{"4"}, entry["PRIORITY"])
	require.Equal(t, []string{"no_answer"}, entry["TNC_ERROR_CODE"])

	isolated := client.Decision{Recommendation: client.Isolated, Assessment: "non-compliant minor", Reasons: []client.Localized{{Text: "one\ntwo"}, {Text: "three"}}}
	told, entry = happened(client.Event{Kind: client.EventUp, Gateway: "192.0.2.1:4500", GatewayID: "moon", Decision: isolated})
	require.Contains(t, told, "READY=1")
	require.Equal(t, []string{"one\ntwo", "three"}, entry["TNC_REASON"])
	require.Equal(t, []string{"isolated"}, entry["TNC_RECOMMENDATION"])
	require.Equal(t, []string{"up"}, entry["TNC_EVENT"])
	require.Equal(t, []string{"home"}, entry["TNC_CONNECTION"])
	require.Equal(t, []string{MessageID}, entry["MESSAGE_ID"])
	require.Len(t, entry["MESSAGE"], 1)
	require.NotContains(t, entry, "TNC_ERROR")
	told, _ = happened(client.Event{Kind: client.EventLost, Failure: client.Failure{Error: "gone"}})
	require.Equal(t, "STATUS=home: lost: gone", told, "it is ready once")
	told, _ = happened(client.Event{Kind: client.EventEnded})
	require.Contains(t, told, "STOPPING=1")

	// An entry that no datagram holds.
	big := client.Event{Kind: client.EventUp}
	for range 400 {
		big.Reasons = append(big.Reasons, client.Localized{Text: strings.Repeat("x", 1000)})
	}
	require.NoError(t, WriteJournal(filepath.Join(dir, "journal"), big))
	require.Greater(t, len(journal.next()), 1<<19)
}

// Without systemd nothing is told, and nothing fails.
func TestNoSystemd(t *testing.T) {
	t.Setenv(notifySocket, "")
	s := New(filepath.Join(t.TempDir(), "none"))
	s.Run(t.Context(), func() { require.Fail(t, "there is no watchdog") })
	require.NoError(t, s.Happened(client.Event{Kind: client.EventUp}))
}

func TestAbstractSocket(t *testing.T) {
	name := "gotnc-test-" + filepath.Base(t.TempDir())
	r := newReceiver(t, "@"+name)
	require.NoError(t, (&Notifier{socket: "@" + name}).Tell("READY=1", "STATUS=two\nlines"))
	require.Equal(t, "READY=1", r.next())
	require.False(t, bytes.Contains(encode([]field{{"A", ""}}), []byte("A")))
}
