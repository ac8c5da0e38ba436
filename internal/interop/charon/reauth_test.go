package charon

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// A new IKE_SA is made before the old one ends: no ping is lost, but for those that are
// here before its SA is.
func TestReauthentication(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    reauth_time = 2s\n    rand_time = 0\n    over_time = 60s\n")
	r := s.up()
	counts := s.flood(5)
	r.waitFor("IKE_SA home[2] established")
	sent, received := counts()
	if kernelESP() {
		// The gateway sends on its new CHILD_SA before its answer is here, and a kernel
		// keeps no packet of an SPI that it does not know: that loses what comes in a
		// fifth of a second, which is one packet on real machines, and nothing else.
		lost := number(t, sent) - number(t, received)
		require.Equal(t, s.unknownSPIs(), lost, "packets were lost while the client reauthenticated")
		require.LessOrEqual(t, lost, 10*(r.count("] established between")-1))
	} else {
		require.Equal(t, sent, received, "packets were lost while the client reauthenticated")
	}
	require.Contains(t, r.out.String(), "deleting IKE_SA home[1]")
	require.NoError(t, r.stop())
	s.nothingLeft()
}

// unknownSPIs is the number of ESP packets for which the client's kernel had no SA.
func (s *site) unknownSPIs() int {
	s.t.Helper()
	out, err := netns.Run(s.Client, "cat", "/proc/net/xfrm_stat")
	require.NoError(s.t, err, out)
	_, after, found := strings.Cut(out, "XfrmInNoStates")
	require.True(s.t, found, out)
	return number(s.t, strings.Fields(after)[0])
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// The same connection out of ipsec.conf, ipsec.secrets and ipsec.d, with an
// updown script.
func TestIpsecConf(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca, err := os.ReadFile(filepath.Join(s.dir, "cl", "swanctl", "x509ca", "ca.pem"))
	require.NoError(t, err)
	said := filepath.Join(s.dir, "said")
	s.write("ip/ipsec.d/cacerts/ca.pem", "%s", ca)
	s.write("ip/ipsec.secrets", "%s : EAP \"%s\"\n", user, password)
	s.write("ip/ipsec.conf", `config setup

conn %%default
	ikelifetime=60m
	keylife=20m
	rekeymargin=3m
	keyingtries=1
	keyexchange=ikev2

conn home
	left=%s
	leftid=%s
	leftauth=eap
	leftupdown="echo $PLUTO_VERB $PLUTO_ME $PLUTO_PEER $PLUTO_PEER_CLIENT $PLUTO_PEER_ID >>%s"
	right=%s
	rightid=@%s
	rightsubnet=10.1.0.0/16
	rightauth=eap-ttls
	ike=%s!
	esp=%s!
	auto=add
`, s.ClientAddr, user, said, s.GatewayAddr, gatewayID, usualIKE, usualESP)
	r := &running{s: s, exit: make(chan error, 1)}
	r.cmd = netns.Command(context.Background(), s.Client, s.tnc, "up", "home", "-v", "--ipsec-conf", filepath.Join(s.dir, "ip", "ipsec.conf"),
		"--strongswan-conf", filepath.Join(s.dir, "cl", "strongswan.conf"), "--tnc-config", "/dev/null", "--dataplane", "auto")
	r.cmd.Env = append(os.Environ(), "TNC_RUN_DIR="+filepath.Join(s.dir, "run"))
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	require.NoError(t, r.cmd.Start())
	go func() { r.exit <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		if t.Failed() {
			t.Log(tail([]byte(r.out.String()), 60))
		}
	})
	r.waitFor("connected; Ctrl-C")
	require.Contains(t, r.out.String(), "using data plane")
	out, err := netns.Run(s.Client, "ping", "-c", "2", "-i", "0.1", "-W", "2", inside)
	require.NoError(t, err, out)
	require.NoError(t, r.stop())
	b, err := os.ReadFile(said)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	require.Equal(t, []string{
		"up-host 192.168.0.100 192.168.0.1 10.1.0.0/24 moon.gotnc.test",
		"down-host 192.168.0.100 192.168.0.1 10.1.0.0/24 moon.gotnc.test",
	}, lines)
	s.nothingLeft()
}
