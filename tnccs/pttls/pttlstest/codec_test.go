package pttlstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pttls"
)

func TestVersionRequest(t *testing.T) {
	want := pttls.VersionRequest{Min: 1, Max: 1, Preferred: 1}
	b := []byte{0, 1, 1, 1}
	got, err := parseVersionRequest(b)
	require.NoError(t, err)
	require.Equal(t, want, got)
	again, err := got.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, b, again)
	for n := range b {
		_, err := parseVersionRequest(b[:n])
		require.Error(t, err, "%d", n)
	}
	_, err = parseVersionRequest(append(b, 0))
	require.Error(t, err)
}

func TestSelection(t *testing.T) {
	b := []byte("\x05PLAIN\x00carol\x00pw")
	got, err := parseSelection(b)
	require.NoError(t, err)
	require.Equal(t, pttls.Selection{Mechanism: "PLAIN", Initial: []byte("\x00carol\x00pw")}, got)
	again, err := got.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, b, again)
	for n := range b {
		got, err := parseSelection(b[:n])
		if n < len("\x05PLAIN") {
			require.Error(t, err, "%d", n)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, b[6:n], got.Initial, "the initial response has no length")
	}
	_, err = parseSelection([]byte("\x05plain"))
	require.Error(t, err)
}

func TestPlain(t *testing.T) {
	b, err := pttls.Plain("carol", []byte("pw"))
	require.NoError(t, err)
	authorize, identity, secret, err := parsePlain(b)
	require.NoError(t, err)
	require.Equal(t, []string{"", "carol", "pw"}, []string{authorize, identity, string(secret)})
	for _, bad := range []string{"", "\x00", "\x00\x00", "\x00carol\x00", "\x00carol\x00pw\x00", "carol"} {
		_, _, _, err := parsePlain([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func FuzzSelection(f *testing.F) {
	f.Add([]byte("\x05PLAIN\x00carol\x00pw"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseVersionRequest(b)
		_, _, _, _ = parsePlain(b)
		s, err := parseSelection(b)
		if err != nil {
			return
		}
		enc, err := s.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b[1:], enc[1:], "the upper bits of the length are reserved")
	})
}
