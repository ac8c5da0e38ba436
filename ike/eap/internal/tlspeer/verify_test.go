package tlspeer

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

func TestNothingBelowTLS12(t *testing.T) {
	cfg := eap.TLSConfig{MinVersion: tls.VersionTLS10}
	require.EqualValues(t, tls.VersionTLS12, tlsConfig(&cfg).MinVersion)
	cfg.MinVersion = tls.VersionTLS13
	require.EqualValues(t, tls.VersionTLS13, tlsConfig(&cfg).MinVersion)
}
