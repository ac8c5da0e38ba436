// Package outside builds the programs of docs/examples as somebody else would:
// in a module of their own, where no internal package can be imported. They run
// against the reference gateway in this process.
package outside

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

const (
	gatewayName = "moon.gotnc.test"
	user        = "carol@gotnc.test"
	password    = "Ar3etTnp"

	maxClientLines = 50
)

// build compiles an example in a module that only requires this one.
func build(t *testing.T, example string) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	dir := t.TempDir()
	for from, to := range map[string]string{filepath.Join(root, "docs/examples", example, "main.go"): "main.go", filepath.Join(root, "go.sum"): "go.sum"} {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), b, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/outside\n\ngo 1.26.0\n\nrequire github.com/gotnc/gotnc v0.0.0\n\nreplace github.com/gotnc/gotnc => "+root+"\n"), 0o600))
	program := filepath.Join(dir, example)
	cmd := exec.Command("go", "build", "-mod=mod", "-o", program, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=1", "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func TestAttestedClient(t *testing.T) {
	source, err := os.ReadFile("../../../docs/examples/attested-client/main.go")
	require.NoError(t, err)
	require.LessOrEqual(t, bytes.Count(source, []byte("\n")), maxClientLines, "an attested client is short")
	program := build(t, "attested-client")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	out, err := exec.Command("go", "build", "-buildmode=c-shared", "-o", in("imc-attestation.so"), "../../../capi/attestation").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(in("tnc_config"), []byte("IMC \"Attestation\" "+in("imc-attestation.so")+"\n"), 0o600))
	ca, err := testpki.NewCA("outside CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(gatewayName, testpki.ECDSA, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(in("ca.pem"), ca.PEM(), 0o600))
	gw, err := gateway.Listen(gateway.Config{Identity: gatewayName, Certificate: cert, Users: map[string]string{user: password}})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	defer func() {
		require.NoError(t, gw.Close())
		require.NoError(t, <-served)
	}()

	run := func(password string, up func() bool) string {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, gw.Addr().String(), gatewayName, user, password, in("ca.pem"), in("tnc_config"), "none")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		if up != nil {
			require.Eventually(t, up, 30*time.Second, 50*time.Millisecond, "the tunnel comes up")
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
		said, err := io.ReadAll(bufio.NewReader(stdout))
		require.NoError(t, err)
		require.NoError(t, cmd.Wait(), stderr.String())
		return strings.TrimSpace(string(said))
	}
	require.Equal(t, "allow interrupt signal received <nil> <nil>", run(password, func() bool { return gw.Report().Last().State == gateway.Established }))
	require.Equal(t, gateway.Deleted, gw.Report().Last().State, "Ctrl-C ends the IKE_SA in order")
	require.Contains(t, run("wrong", nil), "EAP")
}
