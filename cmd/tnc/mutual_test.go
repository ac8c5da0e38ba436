package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// A gateway that does not let itself be measured is let off, or not.
func TestMutualMeasurementIsRequired(t *testing.T) {
	const charon = "charon {\n  port = 0\n  port_nat_t = 0\n  retransmit_timeout = 0.3\n  retransmit_tries = 1\n  plugins {\n    tnccs-20 {\n      mutual = yes\n    }\n  }\n}\n"
	const required = "tnc {\n  mutual {\n    required = yes\n  }\n}\n"
	s := newSite(t, nil)
	s.write("strongswan.conf", charon)
	stdout, stderr, code := s.attest("--json")
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.NotContains(t, stdout, `"peer"`)
	s.write("strongswan.conf", charon+required)
	stdout, stderr, code = s.attest("--json")
	require.Equal(t, report.ExitFailure, code, stdout)
	oneSentence(t, stderr, "without having been measured", "tnc.mutual.required")
	var out report.Outcome
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.Equal(t, client.MutualUnmeasured, out.Peer)
	require.Nil(t, out.Child)

	// Nor does one that asks for no attestation at all.
	s = newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Phase2 = []string{gateway.MethodMD5} })
	s.write("strongswan.conf", charon+required)
	_, stderr, code = s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "without having been measured", "tnc.mutual.required")
	s.write("strongswan.conf", required)
	_, stderr, code = s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "tnccs-20.mutual = yes")

	// A file without a digest would be measured for nothing.
	s.write("strongswan.conf", charon+"tnc {\n  mutual {\n    files {\n      sshd {\n        path = /usr/sbin/sshd\n      }\n    }\n  }\n}\n")
	_, stderr, code = s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "tnc.mutual.files.sshd", "set digest")

	p := newPTSite(t, pttlstest.AuthNone, imv.Policy{})
	res, _, code := p.run(t, "--mutual")
	require.Equal(t, report.ExitAllowed, code)
	require.Empty(t, res.Peer)
	p.write(t, "strongswan.conf", required)
	_, stderr, code = runTNC(t, p.args...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "--mutual")
	res, stderr, code = p.run(t, "--mutual")
	require.Equal(t, report.ExitFailure, code)
	require.Equal(t, client.MutualUnmeasured, res.Peer)
	oneSentence(t, stderr, "without having been measured")
}

func TestConfigCheckOfTNCSettings(t *testing.T) {
	s := newSite(t, nil)
	for conf, says := range map[string]string{
		"tnc {\n  mutual {\n    required = yes\n  }\n}\n":                                                                       "tnccs-20.mutual = yes",
		"charon {\n  plugins {\n    tnccs-20 {\n      mutual = yes\n    }\n  }\n}\ntnc {\n  mutual {\n    force = no\n  }\n}\n": "tnc.mutual.force = no: use allow",
		"charon {\n  plugins {\n    eap-tnc {\n      protocol = tnccs-9\n    }\n  }\n}\n":                                       "tnccs-9",
	} {
		s.write("strongswan.conf", conf)
		stdout, stderr, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
		require.Equal(t, report.ExitFailure, code, stdout+stderr)
		require.Contains(t, stdout, says)
	}
}
