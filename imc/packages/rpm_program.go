package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const maxRPMOutput = 32 << 20 // octets

// The program that lists what cannot be read here, and its time; tests replace
// them.
var (
	rpmProgram = "/usr/bin/rpm"
	rpmTimeout = 20 * time.Second
)

// askRPM runs rpm, with its time and output bounded.
func askRPM(ctx context.Context, root string) ([]Package, error) {
	if root != "/" && root != "" {
		return nil, errRPM
	}
	ctx, cancel := context.WithTimeout(ctx, rpmTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, rpmProgram, "-qa", "--nosignature", "--nodigest", "--queryformat", `%{NAME}\t%{EVR}\n`)
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	c.Dir = "/"
	c.WaitDelay = time.Second
	// rpm and what it starts end together.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { out.Close() })
	defer stop()
	var found list
	perr := eachLine(ctx, io.LimitReader(out, maxRPMOutput), func(line string) {
		if name, version, ok := strings.Cut(line, "\t"); ok {
			found.addRPM(name, version)
		}
	})
	if perr != nil {
		cancel()
	}
	// A host that ignores SIGCHLD reaps rpm itself: its end is then not known.
	if err := c.Wait(); err != nil && !errors.Is(err, unix.ECHILD) {
		return nil, fmt.Errorf("%s: %w", rpmProgram, err)
	}
	return found.sorted(), perr
}
