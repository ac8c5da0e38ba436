package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// What config show prints has the defaults in it, for people and for scripts, and
// a connection that cannot work says why.
func TestConfigShow(t *testing.T) {
	s := newSite(t, nil)
	s.replace("swanctl.conf", "remote_ts", "start_action = trap\n        rand_time = 2h\n        remote_ts")
	show := append([]string{"config", "show", "home"}, s.args...)
	stdout, stderr, code := runTNC(t, show...)
	require.Zero(t, code, stderr)
	require.Regexp(t, `(?m)^home +IKEv2, \S+swanctl.conf:2$`, stdout)
	require.Regexp(t, `(?m)^  times +rekeying 4h0m0s, reauthentication never, over 24m0s, random 24m0s`, stdout)
	require.Regexp(t, `(?m)^  local +EAP-TTLS$`, stdout)
	require.Regexp(t, `(?m)^    actions +start trap, close none, DPD clear$`, stdout)

	stdout, _, code = runTNC(t, append(show, "--json")...)
	require.Zero(t, code)
	var all []profile.Shown
	require.NoError(t, json.Unmarshal([]byte(stdout), &all))
	require.Len(t, all, 1)
	require.EqualValues(t, 3599, all[0].Children[0].RandTime, "bounded")
	require.Empty(t, all[0].Problems)

	s.replace("swanctl.conf", "auth = eap-ttls", "auth = eap-tlts")
	stdout, _, code = runTNC(t, show...)
	require.Zero(t, code)
	require.Regexp(t, `(?m)^  problem +\S+swanctl.conf:\d+: .*tlts`, stdout)

	_, stderr, code = runTNC(t, append([]string{"config", "show", "nobody"}, s.args...)...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, `no connection "nobody"; there are: home`)
}

// A relative --ipsec-conf finds what is beside it, from wherever it is named.
func TestRelativeIPsecConf(t *testing.T) {
	s := newSite(t, nil)
	ca, err := os.ReadFile(s.path("x509ca/ca.pem"))
	require.NoError(t, err)
	folder := "vpn of mine"
	s.write(folder+"/ipsec.d/cacerts/ca.pem", string(ca))
	s.write(folder+"/ipsec.secrets", "carol : EAP \"x\"\n")
	s.write(folder+"/ipsec.conf", "conn home\n\tleft=192.168.0.100\n\tleftauth=eap-mschapv2\n\tleftid=carol\n\tright=192.168.0.1\n\trightid=moon\n\tauto=add\ninclude more/*.conf\n")
	s.write(folder+"/more/office.conf", "conn office\n\talso=home\n\tauto=add\n")
	for _, from := range []struct{ dir, path string }{{folder, "ipsec.conf"}, {folder, "./ipsec.conf"}, {"", folder + "/ipsec.conf"}, {"x509ca", "../" + folder + "/ipsec.conf"}} {
		t.Chdir(s.path(from.dir))
		stdout, stderr, code := runTNC(t, "config", "check", "--ipsec-conf", from.path, "--strongswan-conf", s.path("strongswan.conf"), "--tnc-config", s.path("tnc_config"))
		require.Zero(t, code, stdout+stderr)
		require.Contains(t, stdout, `connection "office"`)
	}
}
