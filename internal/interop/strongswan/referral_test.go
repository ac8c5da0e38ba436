package strongswan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPDPReferral: a gateway that serves PT-TLS too says so in its first batch,
// and our client tells its user where.
func TestPDPReferral(t *testing.T) {
	r := newRig(t)
	r.edited(
		imvs("imv-test"), testIMC("command = allow"),
		edit{moonConf, "tnc-imv tnc-tnccs", "tnc-pdp tnc-imv tnc-tnccs"},
		edit{moonConf, "    eap-tnc {", "    tnc-pdp {\n server = moon.strongswan.org\n pt_tls {\n port = 2710\n }\n radius {\n enable = no\n }\n }\n    eap-tnc {"},
	)
	r.must("moon")
	a := r.attest("imc-test")
	require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
	require.Contains(t, a.log, "PDP server 'moon.strongswan.org' is listening on port 2710")
	require.Equal(t, "moon.strongswan.org:2710", a.PDP)
}
