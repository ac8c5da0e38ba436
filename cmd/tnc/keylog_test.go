package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The key file is Wireshark's table, private, and never overwrites one.
func TestKeyLog(t *testing.T) {
	s := newSite(t, nil)
	path := filepath.Join(t.TempDir(), "keys")
	stdout, stderr, code := s.attest("--keylog", path)
	require.Zero(t, code, stdout+stderr)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{16},[0-9a-f]{16},[0-9a-f]+,[0-9a-f]+,"[A-Z][^"]+",[0-9a-f]*,[0-9a-f]*,"[A-Z][^"]+"\n$`), string(b))
	i, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), i.Mode().Perm())
	_, stderr, code = s.attest("--keylog", path)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "name one that does not exist")
}
