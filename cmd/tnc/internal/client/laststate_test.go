package client

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway"
)

// A connection that is started again, reconnects, or attests again has the virtual
// IP that it had, though others are free.
func TestVirtualIPIsKept(t *testing.T) {
	s := newSite(t, func(g *gateway.Config) { g.Users["other@gotnc.test"] = password })
	s.replace("remote_ts = 10.1.0.0/16", "remote_ts = 10.1.0.0/16\n        close_action = restart")
	other := &site{t: t, gw: s.gw, dir: t.TempDir(), name: "other"}
	for _, file := range []string{"x509ca/ca.pem", "tnc_config", "strongswan.conf", "swanctl.conf"} {
		b, err := os.ReadFile(filepath.Join(s.dir, file))
		require.NoError(t, err)
		other.write(file, strings.ReplaceAll(string(b), userName, "other@gotnc.test"))
	}
	ipOf := func(c *Client) string { return strings.Join(c.Status().VirtualIPs, " ") }
	first, endFirst := other.runUp(nil)
	c, end := s.runUp(nil)
	require.Equal(t, "10.3.0.2", ipOf(first))
	require.Equal(t, "10.3.0.3", ipOf(c))
	require.NoError(t, endFirst()) // the address before is free now

	require.Equal(t, 1, s.gw.Delete())
	require.Eventually(t, func() bool { st := c.Status(); return st.State == Up && st.Reconnects == 1 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "10.3.0.3", ipOf(c), "after it was lost")
	c.requestReauth("the test asks for it")
	attested := c.Status().Attested
	require.Eventually(t, func() bool { return c.Status().Attested.After(attested) }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "10.3.0.3", ipOf(c), "after it attested again")
	require.NoError(t, end())

	c, end = s.runUp(nil)
	require.Equal(t, "10.3.0.3", ipOf(c), "after it was started again")
	require.NoError(t, end())
}

// What an earlier run left may be anything.
func TestLastState(t *testing.T) {
	dir := RunDir(t.TempDir())
	f, err := dir.lock("home")
	require.NoError(t, err)
	defer f.close()
	require.Empty(t, f.last())
	ips := []netip.Addr{netip.MustParseAddr("10.3.0.7"), netip.MustParseAddr("2001:db8::7")}
	require.NoError(t, f.saveLast(ips))
	require.Equal(t, ips, f.last())
	for _, text := range []string{"", "{", `{"virtual_ips":["x"]}`, `{"virtual_ips":3}`, `[]`, `{"virtual_ips":[""]}`} {
		require.NoError(t, os.WriteFile(f.path(stateExt), []byte(text), 0o600))
		require.Empty(t, f.last(), "%s", text)
	}
	require.NoError(t, os.WriteFile(f.path(stateExt), []byte(`{"virtual_ips":[`+strings.Repeat(`"10.0.0.1",`, 100)+`"10.0.0.1"]}`), 0o600))
	require.Len(t, f.last(), maxLastIPs)
	require.Empty(t, (*runFiles)(nil).last())
	require.NoError(t, (*runFiles)(nil).saveLast(ips))
}
