package usage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, make([]byte, maxFile), 0o600))
	b, err := ReadFile(path)
	require.NoError(t, err)
	require.Len(t, b, maxFile)
	require.NoError(t, os.WriteFile(path, make([]byte, maxFile+1), 0o600))
	_, err = ReadFile(path)
	require.ErrorContains(t, err, "more than 65536 octets")
	_, err = ReadFile(path + "x")
	require.EqualError(t, FileError(path+"x", "--ca", err), "--ca "+path+"x: there is no such file")
	require.EqualError(t, FileError("f", "--ca", errors.New("bad")), "--ca f: bad")
}

func TestError(t *testing.T) {
	var e *Error
	require.ErrorAs(t, Errorf("--x: %w", os.ErrExist), &e)
	require.ErrorIs(t, e, os.ErrExist)
}
