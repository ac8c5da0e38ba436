package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// After make install as in build/ the demo finds its library.
func TestDemoFindsTheInstalledLibrary(t *testing.T) {
	require.Equal(t, []string{"/opt/x/bin/imc-attestation.so", "/opt/x/lib/gotnc/imc-attestation.so", "/opt/x/lib64/gotnc/imc-attestation.so"}, Libraries("/opt/x/bin/tnc"))
	script, err := os.ReadFile("../../../../dist/install.sh")
	require.NoError(t, err)
	require.Contains(t, string(script), `imc-attestation.so" "$LIBDIR/gotnc/imc-attestation.so"`)
	require.Contains(t, string(script), `tnc" "$BINDIR/tnc"`)
	root := t.TempDir()
	debian := filepath.Join(root, "lib", "x86_64-linux-gnu", "gotnc", "imc-attestation.so")
	require.NoError(t, os.MkdirAll(filepath.Dir(debian), 0o755))
	require.NoError(t, os.WriteFile(debian, nil, 0o755))
	require.Contains(t, Libraries(filepath.Join(root, "bin", "tnc")), debian)
}
