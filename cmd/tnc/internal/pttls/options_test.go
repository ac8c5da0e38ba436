package pttls

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "options")
	for text, want := range map[string][]string{
		"":                                   nil,
		"# only a comment\n\n":               nil,
		"--port 271 # the usual\r\n--quiet":  {"--port", "271", "--quiet"},
		"--secret \"a b # c\"\t--x=\"\" y#z": {"--secret", "a b # c", "--x=", "y#z"},
		"\"\" end":                           {"", "end"},
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		got, err := ReadOptions(file)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	require.NoError(t, os.WriteFile(file, []byte("--a\n--b \"open\n"), 0o600))
	_, err := ReadOptions(file)
	require.ErrorContains(t, err, file+":2: a closing double quote is missing")
}
