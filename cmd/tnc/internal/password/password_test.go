package password

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// Nobody is asked where there is no terminal, and this is no unit's process.
func TestFind(t *testing.T) {
	t.Setenv("INVOCATION_ID", "")
	require.Nil(t, Find(&bytes.Buffer{}))
	require.Nil(t, Find(os.NewFile(0, "none")))
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	require.NoError(t, err)
	defer null.Close()
	require.Nil(t, Find(null))
	t.Setenv("INVOCATION_ID", "1")
	t.Setenv("PATH", t.TempDir())
	require.Nil(t, Find(null), "systemd-ask-password is not there")
}

// asking puts a program of that name into PATH.
func asking(t *testing.T, script string) Ask {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "systemd-ask-password"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("INVOCATION_ID", "1")
	ask := Find(&bytes.Buffer{})
	require.NotNil(t, ask)
	return ask
}

func TestAgentThatFails(t *testing.T) {
	_, err := asking(t, "echo Timer expired >&2; exit 1")(t.Context(), "Password")
	require.ErrorContains(t, err, "Timer expired")
	_, err = asking(t, "head -c 5000 /dev/zero")(t.Context(), "Password")
	require.ErrorContains(t, err, "more than 4096 octets")
	b, err := asking(t, "echo; exit 0")(t.Context(), "Password")
	require.NoError(t, err)
	require.Empty(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	_, err = asking(t, "exec sleep 60")(ctx, "Password")
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 30*time.Second)
}

// The real systemd-ask-password asks an agent, which is this test: the protocol is
// that of systemd's PASSWORD_AGENTS.
func TestAgentOfSystemd(t *testing.T) {
	need.Root(t)
	program := need.Program(t, "systemd-ask-password", "systemd")
	need.Program(t, "unshare", "util-linux")
	run := t.TempDir()
	ask := asking(t, `exec unshare -m sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/systemd && mount --bind `+run+` /run/systemd && exec `+program+` "$@"' sh "$@"`)
	go func() {
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			files, _ := filepath.Glob(filepath.Join(run, "ask-password", "ask.*"))
			for _, f := range files {
				b, _ := os.ReadFile(f)
				_, rest, ok := strings.Cut(string(b), "\nSocket=/run/systemd/")
				if !ok || !strings.Contains(string(b), "Message=Password of carol for home\n") || !strings.Contains(string(b), "\nId=tnc") {
					continue
				}
				socket, _, _ := strings.Cut(rest, "\n")
				if c, err := net.Dial("unixgram", filepath.Join(run, socket)); err == nil {
					_, _ = c.Write([]byte("+tuesday\x00"))
					c.Close()
					return
				}
			}
		}
	}()
	b, err := ask(t.Context(), "Password of carol for home")
	require.NoError(t, err)
	require.Equal(t, "tuesday", string(b))
}
