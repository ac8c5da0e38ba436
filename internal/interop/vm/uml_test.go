package vm

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// isUML reports whether a kernel is User-mode Linux: a program, which needs no
// virtual machine (uml.sh builds one).
func isUML(kernel string) bool { return strings.HasSuffix(kernel, ".uml") }

// uml runs a kernel that is a program, to its end.
func uml(t *testing.T, kernel, root string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, kernel, "mem=1024M", "initrd="+root, "con=null", "con0=null,fd:1", "quiet", "panic=-1")
	c := &console{first: func() {}}
	cmd.Stdout, cmd.Stderr = c, c
	err := cmd.Run()
	require.NoError(t, err, "%s", c)
	return c.String()
}
