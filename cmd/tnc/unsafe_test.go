package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/imclist"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// What others may change is named by config check, doctor and imc list, each in one
// sentence with the file; as root such an IMC is not loaded.
func TestUnsafeFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	s := newSite(t, nil)
	folder := filepath.Join(s.dir, "lib")
	require.NoError(t, os.Mkdir(folder, 0o755))
	so := filepath.Join(folder, "imc.so")
	b, err := os.ReadFile(library)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(so, b, 0o755))
	s.write("tnc_config", "IMC \"Attestation\" "+so+"\n")
	conf, keys := s.path("strongswan.conf"), s.path("private")
	require.NoError(t, os.MkdirAll(keys, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(keys, "own.pem"), nil, 0o600))

	for _, c := range []struct {
		unsafe string
		mode   os.FileMode
		what   string // named as unsafe
	}{
		{folder, 0o777, `IMC "Attestation" ` + so + " may be changed by everybody: the folder " + folder + " "},
		{so, 0o757, `IMC "Attestation" ` + so + " may be changed by everybody: the file " + so + " "},
		{conf, 0o666, "configuration " + conf + " may be changed by everybody"},
		{s.dir, 0o777, "configuration " + s.path("swanctl.conf") + " may be changed by everybody: the folder " + s.dir + " "},
		{keys, 0o777, "private key " + filepath.Join(keys, "own.pem") + " may be changed by everybody: the folder " + keys + " "},
	} {
		was, err := os.Stat(c.unsafe)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(c.unsafe, c.mode))
		for _, command := range []string{"config check", "doctor"} {
			stdout, _, _ := runTNC(t, append(strings.Fields(command), s.args...)...)
			require.Contains(t, stdout, c.what, command)
			require.Contains(t, stdout, "chmod go-w "+c.unsafe, command)
		}
		require.NoError(t, os.Chmod(c.unsafe, was.Mode().Perm()))
	}
	stdout, _, _ := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.NotContains(t, stdout, "may be changed")

	require.NoError(t, os.Chmod(so, 0o757))
	args := []string{"imc", "list", "--json", "--strongswan-conf", conf, "--tnc-config", s.path("tnc_config")}
	list := func() imclist.Entry {
		stdout, stderr, _ := runTNC(t, args...)
		var got []imclist.Entry
		require.NoError(t, json.Unmarshal([]byte(stdout), &got), stderr)
		require.Len(t, got, 1)
		return got[0]
	}
	got := list()
	require.Contains(t, got.Error, "not loaded as root: it may be changed by everybody: the file "+so+" has owner 0, group 0 and mode 0757")
	require.Contains(t, got.Error, "charon.plugins.tnc-imc.allow_writable = yes")
	_, stderr, code := runTNC(t, append([]string{"attest", "home"}, s.args...)...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, so, "not loaded as root", "chmod go-w", "allow_writable")

	text, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(conf, append(text, "charon {\n plugins {\n tnc-imc {\n allow_writable = yes\n }\n }\n}\n"...), 0o644))
	got = list()
	require.Empty(t, got.Error)
	require.Contains(t, got.Unsafe, "may be changed by everybody")
}
