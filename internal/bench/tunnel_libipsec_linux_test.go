package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// libipsec is strongSwan with its ESP in user space at both ends: gateway and
// client of the rig. It is nil where they are missing.
func libipsec(b testing.TB) *tunnel {
	script := os.Getenv("GOTNC_RIG")
	if os.Getenv("STRONGSWAN_PREFIX") == "" || script == "" {
		b.Log("strongSwan's kernel-libipsec is left out: set STRONGSWAN_PREFIX and GOTNC_RIG")
		return nil
	}
	dir := b.TempDir()
	run := func(args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, script, args...)
		cmd.Env = append(os.Environ(), "RIG_DIR="+dir)
		// The daemons inherit the output: a file, not a pipe.
		f, err := os.Create(filepath.Join(dir, "output"))
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Run(); err != nil {
			out, _ := os.ReadFile(f.Name())
			return fmt.Errorf("rig %v: %w: %s", args, err, out)
		}
		return nil
	}
	lock, err := os.OpenFile("/tmp/rig.lock", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(b, err)
	require.NoError(b, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	b.Cleanup(func() {
		_ = run("net-down")
		lock.Close()
	})
	start := func(b testing.TB) func() {
		for _, command := range []string{"moon", "carol", "connect"} {
			require.NoError(b, run(command))
		}
		return func() { _ = run("stop", "carol") }
	}
	return &tunnel{name: "strongSwan libipsec", start: start, pair: &netns.Pair{Gateway: "moon", Client: "carol"}}
}
