package tlspeer

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingBelowTLS12(t *testing.T) {
	cfg := Config{MinVersion: tls.VersionTLS10}
	require.EqualValues(t, tls.VersionTLS12, cfg.tlsConfig().MinVersion)
	cfg.MinVersion = tls.VersionTLS13
	require.EqualValues(t, tls.VersionTLS13, cfg.tlsConfig().MinVersion)
}
