package charon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// A TCP connection inside the tunnel lives through a new attestation, a gateway
// that closes the connection, and a client that is killed and started again: the
// virtual IP stays.
func TestTCPInsideSurvives(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0\n")
	s.edit("cl/swanctl/swanctl.conf", "      home {\n", "      home {\n        close_action = restart\n        dpd_action = restart\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = four\n    unique = never\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  four {\n    addrs = 10.3.0.0/24\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)
	r := s.up()

	l, err := netns.Listen(s.Gateway, inside+":7007")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	conn, err := netns.Dial(s.Client, inside+":7007")
	require.NoError(t, err)
	defer conn.Close()
	lines, n := bufio.NewReader(conn), 0
	echo := func(after string) {
		t.Helper()
		n++
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err := fmt.Fprintf(conn, "line %d\n", n)
		require.NoError(t, err, after)
		got, err := lines.ReadString('\n')
		require.NoError(t, err, after)
		require.Equal(t, fmt.Sprintf("line %d\n", n), got, after)
	}
	echo("it is up")
	local := conn.LocalAddr().(*net.TCPAddr).IP.String()
	require.Equal(t, "10.3.0.1", local)

	s.say("attest")
	r.waitFor("IKE_SA home[2] established")
	r.waitFor("deleting IKE_SA home[1]")
	echo("it attested again")

	out, err = s.swanctl("--terminate", "--ike", "rw")
	require.NoError(t, err, out)
	r.waitFor("IKE_SA home[3] established")
	echo("the gateway closed it")
	require.NotContains(t, r.out.String(), "making a new data plane")

	require.NoError(t, r.cmd.Process.Kill())
	<-r.exit
	r = s.up()
	echo("it was killed and started again")
	require.Contains(t, r.out.String(), "an earlier run was killed")
	status, err := s.tool("status")
	require.NoError(t, err, status)
	require.Contains(t, status, local)
	require.NoError(t, r.stop())
	s.nothingLeft()
}
