package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

// The user of an ipsec.conf attests with it, and reads of ipsec.secrets where the
// password is missing, not of a file that is not there.
func TestIPsecConf(t *testing.T) {
	s := newSite(t, nil)
	conf := fmt.Sprintf(`conn home
	left=%[1]s
	leftid=%[2]s
	leftauth=eap
	right=%[1]s
	rightikeport=%[3]d
	rightid=@%[4]s
	rightauth=any
	rightsubnet=10.1.0.0/16
	auto=add
`, s.addr.Addr(), testUser, s.addr.Port(), testGateway)
	s.write("ipsec.conf", conf)
	ca, err := usage.ReadFile(s.path("x509ca/ca.pem"))
	require.NoError(t, err)
	s.write("ipsec.d/cacerts/ca.pem", string(ca))
	// Both ends are addresses of this machine: left is us.
	s.replace("strongswan.conf", "port = 0", "port = 0\n  plugins {\n    stroke {\n      allow_swap = no\n    }\n  }")
	args := []string{"attest", "home", "--ipsec-conf", s.path("ipsec.conf"), "--strongswan-conf", s.path("strongswan.conf"), "--tnc-config", s.path("tnc_config")}
	_, stderr, code := runTNC(t, args...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, testUser+` : EAP "…" is the line to add to ipsec.secrets`)
	require.NotContains(t, stderr, "section eap")
	s.write("ipsec.secrets", testUser+" : EAP \""+testPassword+"\"\n")
	stdout, stderr, code := runTNC(t, args...)
	require.Zero(t, code, stdout+stderr)
}
