package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway/verifier"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// A gateway that does not let itself be measured is let off, or not.
func TestMutualMeasurementIsRequired(t *testing.T) {
	const charon = "charon {\n  port = 0\n  port_nat_t = 0\n  retransmit_timeout = 0.3\n  retransmit_tries = 1\n  plugins {\n    tnccs-20 {\n      mutual = yes\n    }\n  }\n}\n"
	const required = "tnc {\n  mutual {\n    required = yes\n  }\n}\n"
	s := newSite(t, nil)
	s.write("strongswan.conf", charon)
	stdout, stderr, code := s.attest("--json")
	require.Equal(t, exitAllowed, code, stderr)
	require.NotContains(t, stdout, `"peer"`)
	s.write("strongswan.conf", charon+required)
	stdout, stderr, code = s.attest("--json")
	require.Equal(t, exitFailure, code, stdout)
	oneSentence(t, stderr, "without having been measured", "tnc.mutual.required")
	var out outcome
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.Equal(t, "unmeasured", out.Peer)
	require.Nil(t, out.Child)

	p := newPTSite(t, pttlstest.AuthNone, verifier.Policy{})
	res, _, code := p.run(t, "--mutual")
	require.Equal(t, exitAllowed, code)
	require.Empty(t, res.Peer)
	p.write(t, "strongswan.conf", required)
	res, stderr, code = p.run(t, "--mutual")
	require.Equal(t, exitFailure, code)
	require.Equal(t, "unmeasured", res.Peer)
	oneSentence(t, stderr, "without having been measured")
}
