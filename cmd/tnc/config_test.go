package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigCheckAndDoctor(t *testing.T) {
	s := newSite(t, nil)
	stdout, stderr, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Zero(t, code, stdout+stderr)
	require.Contains(t, stdout, `connection "home"`)
	require.Contains(t, stdout, `IMC "Attestation"`)
	s.replace("swanctl.conf", "remote_addrs", "remote_adrs")
	s.write("tnc_config", "IMC \"Attestation\" /does/not/exist.so\n")
	stdout, _, code = runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Equal(t, 1, code)
	require.Contains(t, stdout, `swanctl.conf:3`, "unknown keys with file and line")
	require.Contains(t, stdout, "has no remote_addrs")
	require.Contains(t, stdout, "/does/not/exist.so")
	stdout, _, _ = runTNC(t, append([]string{"doctor"}, s.args...)...)
	require.Contains(t, stdout, "data plane xfrm")
	require.Contains(t, stdout, "/does/not/exist.so")
}

// One error does not hide another, each has its place, and nothing to check is
// said.
func TestConfigCheckTellsAll(t *testing.T) {
	s := newSite(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "x509ca")))
	s.replace("swanctl.conf", "remote_ts", "esp_proposals = aes999\n        remote_ts")
	stdout, _, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Equal(t, exitFailure, code)
	require.Regexp(t, `(?m)^error    \S+swanctl.conf:\d+: connection "home": no CA certificate`, stdout)
	require.Regexp(t, `(?m)^error    \S+swanctl.conf:\d+: esp_proposals of child "home": .*aes999`, stdout)
	s.write("swanctl.conf", "")
	stdout, _, code = runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Zero(t, code)
	require.Contains(t, stdout, "no connection is configured")
}
