package need

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDebianByOSRelease(t *testing.T) {
	for text, want := range map[string]bool{
		"ID=debian\n":                               true,
		"NAME=x\nID=ubuntu\nID_LIKE=debian\n":       true,
		"ID=mint\nID_LIKE=\"ubuntu debian\"\n":      true,
		"ID=fedora\nVARIANT_ID=debian\n":            false,
		"ID=rocky\nID_LIKE=\"rhel fedora\"\n":       false,
		"":                                          false,
		"PRETTY_NAME=debian\nID=notdebian\nID_LIKE": false,
	} {
		assert.Equal(t, want, isDebian(bufio.NewScanner(strings.NewReader(text))), "%q", text)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	prog := filepath.Join(dir, "peer")
	_, ok := find(prog)
	assert.False(t, ok)
	require.NoError(t, os.WriteFile(prog, []byte("#!/bin/sh\n"), 0o755))
	_, ok = find(prog)
	assert.True(t, ok, "an absolute path")
	t.Setenv("PATH", dir)
	p, ok := find("peer")
	assert.True(t, ok, "a name in PATH")
	assert.Equal(t, prog, p)
	_, ok = find("gotnc-no-such-program")
	assert.False(t, ok)
}

// skipped runs f as a test that may skip itself and reports whether it did.
func skipped(t *testing.T, f func(testing.TB)) (yes bool) {
	t.Helper()
	t.Run("probe", func(t *testing.T) {
		defer func() { yes = t.Skipped() }()
		f(t)
	})
	return yes
}

func TestStrongSwanPrefix(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"libexec/ipsec/charon", "sbin/swanctl", "lib/ipsec/imcvs/imv-attestation.so"} {
		f = filepath.Join(dir, f)
		require.NoError(t, os.MkdirAll(filepath.Dir(f), 0o755))
		require.NoError(t, os.WriteFile(f, nil, 0o755))
	}
	t.Setenv("STRONGSWAN_PREFIX", dir)
	assert.False(t, skipped(t, func(t testing.TB) { assert.Equal(t, dir, StrongSwan(t)) }))
}

func TestMandatoryFollowsTheEnvironment(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("GOTNC_CI", "0")
	assert.False(t, Mandatory())
	t.Setenv("GOTNC_CI", "1")
	assert.Equal(t, os.Geteuid() == 0 && Debian(), Mandatory())
}
