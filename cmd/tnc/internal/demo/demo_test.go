package demo

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// After make install as in build/ the demo finds its library.
func TestDemoFindsTheInstalledLibrary(t *testing.T) {
	require.Equal(t, []string{"/opt/x/bin/imc-attestation.so", "/opt/x/lib/gotnc/imc-attestation.so"}, Libraries("/opt/x/bin/tnc"))
	makefile, err := os.ReadFile("../../../../Makefile")
	require.NoError(t, err)
	require.Contains(t, string(makefile), "imc-attestation.so $(DESTDIR)$(PREFIX)/lib/gotnc/\n")
	require.Contains(t, string(makefile), "$(BUILD)/tnc $(DESTDIR)$(PREFIX)/bin/\n")
}
