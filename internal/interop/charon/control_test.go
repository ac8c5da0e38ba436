package charon

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/interop/output"
)

// tool runs a command of tnc that takes no configuration.
func (s *site) tool(args ...string) (string, error) {
	c := netns.Command(context.Background(), s.Client, append([]string{s.tnc}, args...)...)
	c.Env = append(os.Environ(), "TNC_RUN_DIR="+filepath.Join(s.dir, "run"))
	b, err := c.CombinedOutput()
	return string(b), err
}

func TestStatusAndDown(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	out, err := s.tool("status")
	require.NoError(t, err)
	require.Contains(t, out, "no connection is up")
	r := s.up()
	_, err = netns.Run(s.Client, "ping", "-c", "2", "-i", "0.1", "-W", "2", inside)
	require.NoError(t, err)
	out, err = s.tool("status")
	require.NoError(t, err, out)
	require.Regexp(t, `(?s)home +up.*gateway +moon\.gotnc\.test, 192\.168\.0\.1:4500.*data plane +`+dataplane()+`.*in 2 packets`, out)
	out, err = s.tool("status", "home", "--json")
	require.NoError(t, err, out)
	var all []map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &all), out)
	require.Equal(t, "up", all[0]["state"])
	// Up once only.
	out, err = netns.Run(s.Client, append([]string{"env", "TNC_RUN_DIR=" + filepath.Join(s.dir, "run")}, s.args("up", "-v", "--dataplane", dataplane())...)...)
	require.Error(t, err)
	require.Contains(t, out, `connection "home" is up already`)
	out, err = s.tool("down", "home")
	require.NoError(t, err, out)
	select {
	case err := <-r.exit:
		require.NoError(t, err, "tnc down is no failure")
	case <-time.After(patience):
		require.Fail(t, "tnc up did not end")
	}
	s.nothingLeft()
	out, err = s.tool("down", "home")
	require.Error(t, err)
	require.Contains(t, out, "is not up")
	log, err := os.ReadFile(filepath.Join(s.dir, "gw", "charon.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "received DELETE for IKE_SA")
}

// Killed at ten points of its life, a connection leaves nothing that the next
// run does not remove: no device, route, rule, line in resolv.conf.
func TestKilledAtAnyMoment(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	resolv := filepath.Join(s.dir, "resolv.conf")
	require.NoError(t, os.WriteFile(resolv, []byte("nameserver 192.0.2.53\n"), 0o644))
	s.write("cl/strongswan.conf", "charon {\n plugins {\n  resolve {\n   file = %s\n  }\n }\n}\n", resolv)
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = pool\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  pool {\n    addrs = 10.3.0.0/24\n    dns = 10.1.0.53\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)
	points := []string{
		"added configuration", "initiating IKE_SA", "selected proposal: IKE", "parsed IKE_AUTH response 1", "EAP_TTLS", "IKE_SA home[1] established",
		"created TUN device", "installed route", "installing DNS server", "connected; Ctrl-C",
	}
	if kernelESP() {
		points = slices.DeleteFunc(points, func(p string) bool { return strings.Contains(p, "TUN") })
	}
	for _, point := range points {
		s.upUntil(point)
	}
	rules, err := netns.Run(s.Client, "ip", "rule")
	require.NoError(t, err)
	require.Contains(t, rules, "220:", "the last one was killed with everything in place")
	r := s.up()
	b, err := os.ReadFile(resolv)
	require.NoError(t, err)
	require.Equal(t, "nameserver 10.1.0.53   # by tnc, from home\nnameserver 192.0.2.53\n", string(b))
	ping, err := netns.Run(s.Client, "ping", "-c", "2", "-i", "0.1", "-W", "2", inside)
	require.NoError(t, err, ping)
	require.NoError(t, r.stop())
	s.nothingLeft()
	b, err = os.ReadFile(resolv)
	require.NoError(t, err)
	require.Equal(t, "nameserver 192.0.2.53\n", string(b))
}

// upUntil runs tnc up and kills it as soon as it has said a text.
func (s *site) upUntil(text string) {
	s.t.Helper()
	cmd := netns.Command(context.Background(), s.Client, s.args("up", "-v", "--dataplane", dataplane())...)
	cmd.Env = append(os.Environ(), "TNC_RUN_DIR="+filepath.Join(s.dir, "run"))
	killer := &killAt{text: text, kill: func() { _ = cmd.Process.Kill() }}
	cmd.Stdout, cmd.Stderr = killer, killer
	require.NoError(s.t, cmd.Start())
	missed := time.AfterFunc(patience, killer.kill)
	_ = cmd.Wait()
	missed.Stop()
	require.Contains(s.t, killer.out.String(), text, "it was killed at this point")
}

// killAt kills as soon as a text is written.
type killAt struct {
	text string
	out  output.Buffer
	kill func()
}

func (k *killAt) Write(p []byte) (int, error) {
	n, err := k.out.Write(p)
	if strings.Contains(k.out.String(), k.text) {
		k.kill()
	}
	return n, err
}
