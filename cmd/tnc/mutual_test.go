package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
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

	// Nor does one that asks for no attestation at all.
	s = newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Phase2 = []string{gateway.MethodMD5} })
	s.write("strongswan.conf", charon+required)
	_, stderr, code = s.attest()
	require.Equal(t, exitFailure, code)
	oneSentence(t, stderr, "without having been measured", "tnc.mutual.required")
	s.write("strongswan.conf", required)
	_, stderr, code = s.attest()
	require.Equal(t, exitFailure, code)
	oneSentence(t, stderr, "tnccs-20.mutual = yes")

	// A file without a digest would be measured for nothing.
	s.write("strongswan.conf", charon+"tnc {\n  mutual {\n    files {\n      sshd {\n        path = /usr/sbin/sshd\n      }\n    }\n  }\n}\n")
	_, stderr, code = s.attest()
	require.Equal(t, exitFailure, code)
	oneSentence(t, stderr, "tnc.mutual.files.sshd", "set digest")

	p := newPTSite(t, pttlstest.AuthNone, imv.Policy{})
	res, _, code := p.run(t, "--mutual")
	require.Equal(t, exitAllowed, code)
	require.Empty(t, res.Peer)
	p.write(t, "strongswan.conf", required)
	_, stderr, code = runTNC(t, p.args...)
	require.Equal(t, exitFailure, code)
	oneSentence(t, stderr, "--mutual")
	res, stderr, code = p.run(t, "--mutual")
	require.Equal(t, exitFailure, code)
	require.Equal(t, "unmeasured", res.Peer)
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
		require.Equal(t, exitFailure, code, stdout+stderr)
		require.Contains(t, stdout, says)
	}
}

// EAP-Success does not count before the gateway has been measured.
func TestSuccessBeforeTheMeasurementIsRefused(t *testing.T) {
	for _, required := range []bool{true, false} {
		tc, err := (&profile.Profile{Strongswan: config.New()}).TNC(nil, true)
		require.NoError(t, err)
		client, err := tnccs.NewClient(tnccs.Config{Mutual: tc.Mutual, MutualRequired: required})
		require.NoError(t, err)
		defer client.Close()
		c := &connection{client: client}
		require.NoError(t, tncSession{c}.PeerVerdict(), "no attestation has begun")
		_, err = tncSession{c}.Begin(0, tnc.Protocol, tnc.VersionPT)
		require.NoError(t, err)
		require.Equal(t, !required, tncSession{c}.PeerVerdict() == nil)
		agreed, err := pb.Batch{FromServer: true, Type: pb.SDATA, Messages: []pb.Message{pb.MutualCapability{Protocols: pb.MutualHalfDuplex}}}.AppendBinary(nil)
		require.NoError(t, err)
		_, err = tncSession{c}.Receive(agreed)
		require.NoError(t, err)
		require.Error(t, tncSession{c}.PeerVerdict(), "it has agreed to be measured")
		err = (&connection{session: c.session, begun: true}).explain(eap.ErrEarly)
		require.ErrorIs(t, err, tnccs.ErrPeerUnmeasured)
		require.ErrorContains(t, err, "tnc.mutual.required")
	}
}
