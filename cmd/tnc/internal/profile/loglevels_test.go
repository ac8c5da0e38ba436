package profile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestLogLevels(t *testing.T) {
	l, err := ParseLogLevels("tnc 3, IKE=0, default -1")
	require.NoError(t, err)
	var b bytes.Buffer
	logger := l.Logger(&b, 1)
	log.Group(logger, log.TNC).Debug("debug")
	log.Group(logger, log.IKE).Info("info")
	log.Group(logger, log.IKE).Warn("warning")
	log.Group(logger, log.NET).Warn("silent")
	require.Equal(t, "[TNC] debug\n[IKE] warning\n", b.String())
	for _, bad := range []string{"tnc", "tnc 9", "foo 1", "tnc x"} {
		_, err := ParseLogLevels(bad)
		require.Error(t, err, bad)
	}
}

// charondebug of ipsec.conf holds where no flag names levels; IMCs follow.
func TestLevelsOfIpsecConf(t *testing.T) {
	p := &Profile{Swanctl: &swanctl.Config{LogLevels: "tnc 2, pts 3"}}
	p.setLogLevels(nil)
	require.Equal(t, LogLevels{"TNC": 2, "PTS": 3}, p.LogLevels)
	require.Contains(t, p.environ(), "GOTNC_IMC_DEBUG_LEVEL=3")
	flag, err := ParseLogLevels("ike 2")
	require.NoError(t, err)
	p = &Profile{Swanctl: &swanctl.Config{LogLevels: "pts 3"}}
	p.setLogLevels(flag)
	require.Equal(t, flag, p.LogLevels)
	require.NotContains(t, strings.Join(p.environ(), " "), "GOTNC_IMC_DEBUG_LEVEL")
	p = &Profile{Swanctl: &swanctl.Config{File: "ipsec.conf", LogLevels: "dmn high"}}
	p.setLogLevels(nil)
	require.Len(t, p.Warnings, 1)
	require.ErrorContains(t, p.Warnings[0], "charondebug")
}
