package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestLogLevels(t *testing.T) {
	l, err := parseLevels("tnc 3, IKE=0, default -1")
	require.NoError(t, err)
	var b bytes.Buffer
	logger := l.logger(&b, 1)
	log.Group(logger, log.TNC).Debug("debug")
	log.Group(logger, log.IKE).Info("info")
	log.Group(logger, log.IKE).Warn("warning")
	log.Group(logger, log.NET).Warn("silent")
	require.Equal(t, "[TNC] debug\n[IKE] warning\n", b.String())
	for _, bad := range []string{"tnc", "tnc 9", "foo 1", "tnc x"} {
		_, err := parseLevels(bad)
		require.Error(t, err, bad)
	}
}

// charondebug of ipsec.conf holds where no flag names levels; IMCs follow.
func TestLevelsOfIpsecConf(t *testing.T) {
	s := &setup{swanctl: &swanctl.Config{LogLevels: "tnc 2, pts 3"}}
	o := &options{}
	s.takeLevels(o)
	require.Equal(t, "tnc 2, pts 3", o.levels)
	require.Contains(t, s.environ(), "GOTNC_IMC_DEBUG_LEVEL=3")
	o = &options{levels: "ike 2"}
	s = &setup{swanctl: &swanctl.Config{LogLevels: "pts 3"}}
	s.takeLevels(o)
	require.Equal(t, "ike 2", o.levels)
	require.NotContains(t, strings.Join(s.environ(), " "), "GOTNC_IMC_DEBUG_LEVEL")
	s = &setup{swanctl: &swanctl.Config{File: "ipsec.conf", LogLevels: "dmn high"}}
	s.takeLevels(&options{})
	require.Len(t, s.warnings, 1)
	require.ErrorContains(t, s.warnings[0], "charondebug")
}

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
