package main

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a machine lacks is found, and each finding ends with what to do.
func TestDoctorFinds(t *testing.T) {
	s := newSite(t, nil)
	taken, err := net.ListenPacket("udp4", ":0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	s.write("strongswan.conf", "charon {\n  port = "+strconv.Itoa(port)+"\n  port_nat_t = 0\n}\n")
	s.write("tnc_config", "IMC \"Attestation\" /does/not/exist.so\n")
	o := options{swanctl: s.path("swanctl.conf"), strongswan: s.path("strongswan.conf"), tncConfig: s.path("tnc_config")}
	find := func(now time.Time, what string) finding {
		t.Helper()
		var all []string
		for _, f := range o.diagnose(now) {
			if strings.Contains(f.what, what) {
				return f
			}
			all = append(all, f.kind+" "+f.what)
		}
		require.Fail(t, "not found", "%q in\n%s", what, strings.Join(all, "\n"))
		return finding{}
	}
	now := time.Now()
	f := find(now, "UDP port "+strconv.Itoa(port)+" is taken")
	require.Equal(t, "note", f.kind)
	require.Contains(t, f.remedy, "stop the other IKE daemon")
	require.Equal(t, "error", find(now, "/does/not/exist.so").kind)
	require.Equal(t, "ok", find(now, "the clock shows").kind)

	f = find(time.Unix(0, 0), "the clock shows 1970-01-01")
	require.Equal(t, "error", f.kind)
	require.Contains(t, f.remedy, "timedatectl")
	require.Equal(t, "error", find(time.Unix(0, 0), "is valid from").kind)
	f = find(now.AddDate(2, 0, 0), "expired on")
	require.Equal(t, "error", f.kind)
	require.Equal(t, "replace it", f.remedy)
	require.Equal(t, "warning", find(now.AddDate(1, 0, -10), "expires on").kind)

	for _, f := range o.diagnose(now) {
		if f.kind != "ok" && f.remedy == "" {
			require.Regexp(t, `: |run |use |load |does not exist`, f.what, "without a remedy it says itself what to do")
		}
	}
	stdout, _, code := runTNC(t, "doctor", "--swanctl", o.swanctl, "--strongswan-conf", o.strongswan, "--tnc-config", o.tncConfig)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stdout, "error")
}
