package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/doctor"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
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
	o := profile.Files{Swanctl: s.path("swanctl.conf"), Strongswan: s.path("strongswan.conf"), TNCConfig: s.path("tnc_config")}
	find := func(now time.Time, what string) profile.Finding {
		t.Helper()
		var all []string
		for _, f := range doctor.Examine(o, now) {
			if strings.Contains(f.Text, what) {
				return f
			}
			all = append(all, string(f.Kind)+" "+f.Text)
		}
		require.Fail(t, "not found", "%q in\n%s", what, strings.Join(all, "\n"))
		return profile.Finding{}
	}
	now := time.Now()
	f := find(now, "UDP port "+strconv.Itoa(port)+" is taken")
	require.Equal(t, profile.Note, f.Kind)
	require.Contains(t, f.Remedy, "stop the other IKE daemon")
	require.Equal(t, profile.Error, find(now, "/does/not/exist.so").Kind)
	require.Regexp(t, `^DNS servers of a gateway go to [^ ]+: .`, find(now, "DNS servers").Text)
	s.write("strongswan.conf", "charon {\n  port = "+strconv.Itoa(port)+"\n  port_nat_t = 0\n  plugins {\n    resolve {\n      file = /run/resolv.conf\n    }\n  }\n}\n")
	require.Equal(t, "DNS servers of a gateway go to /run/resolv.conf: charon.plugins.resolve.file names /run/resolv.conf", find(now, "DNS servers").Text)
	require.Equal(t, profile.OK, find(now, "the clock shows").Kind)

	f = find(time.Unix(0, 0), "the clock shows 1970-01-01")
	require.Equal(t, profile.Error, f.Kind)
	require.Contains(t, f.Remedy, "timedatectl")
	require.Equal(t, profile.Error, find(time.Unix(0, 0), "is valid from").Kind)
	f = find(now.AddDate(2, 0, 0), "expired on")
	require.Equal(t, profile.Error, f.Kind)
	require.Equal(t, "replace it", f.Remedy)
	require.Equal(t, profile.Warning, find(now.AddDate(1, 0, -10), "expires on").Kind)

	for _, f := range doctor.Examine(o, now) {
		if f.Kind != profile.OK && f.Remedy == "" {
			require.Regexp(t, `: |run |use |load |does not exist`, f.Text, "without a remedy it says itself what to do")
		}
	}
	stdout, _, code := runTNC(t, "doctor", "--swanctl", o.Swanctl, "--strongswan-conf", o.Strongswan, "--tnc-config", o.TNCConfig)
	require.Equal(t, report.ExitFailure, code)
	require.Contains(t, stdout, "error")
}

// The TPM is looked for where strongswan.conf says that it is.
func TestDoctorAsksTheTPMOfTheSettings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "strongswan.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "charon { plugins { tpm { tcti {\n name = swtpm\n opts = host=127.0.0.1,port=%d\n } } } }\n", port), 0o600))
	out, _, _ := runTNC(t, "doctor", "--strongswan-conf", file)
	require.Contains(t, out, "the TPM of plugins.tpm.tcti is there: swtpm:host=127.0.0.1")
	require.NoError(t, l.Close())
	out, _, _ = runTNC(t, "doctor", "--strongswan-conf", file)
	require.Contains(t, out, "connection refused")
	require.Contains(t, out, "correct plugins.tpm.tcti, or start it")
}
