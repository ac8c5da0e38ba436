package peers

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// rows of the table, in its order.
const (
	rowPSK         = "preshared key"
	rowCertificate = "certificate"
	rowMSCHAPv2    = "EAP-MSCHAPv2"
	rowEAPTLS      = "EAP-TLS"
	rowKernel      = "ESP of the kernel at both ends"
	rowOurRekeying = "client rekeys IKE_SA and CHILD_SA"
	rowPeerRekeys  = "gateway rekeys IKE_SA and CHILD_SA"
	rowMOBIKE      = "MOBIKE with traffic"
	rowNAT         = "NAT that forgets its mapping"
	rowFragments   = "IKE fragments"
	rowIPv6        = "IPv6 outside and inside"
	rowReauth      = "virtual IP kept over reauthentication"
	rowCookie      = "COOKIE"
	rowDPD         = "DPD: gateway gone and back"
	rowTCP         = "IKE and ESP over TCP"
)

// cell is one field of the table: a run that returns what it saw, or why the peer
// has none.
type cell struct {
	run    func(s *site) string
	absent string
}

// notRun begins cells of rows that the kernel has nothing for.
const notRun = "not run: this kernel has"

// quick rows are run where GOTNC_PEERS is "quick".
var quick = map[string]bool{rowPSK: true, rowCertificate: true, rowMSCHAPv2: true, rowEAPTLS: true}

// isWanted reports whether a row is to be run: GOTNC_PEERS is not set, "quick", or a
// part of the row's name.
func isWanted(row string) bool {
	p := os.Getenv("GOTNC_PEERS")
	return p == "" || p == "quick" && quick[row] || strings.Contains(row, p)
}

// matrix runs the cells of a peer, in order, and prints each as a line that the
// virtual machine's test makes the table of.
func matrix(t *testing.T, s *site, peer string, rows []string, cells map[string]cell) {
	for _, row := range rows {
		c := cells[row]
		if p := os.Getenv("GOTNC_PEERS"); p != "quick" && !isWanted(row) {
			continue
		}
		if c.absent != "" {
			if !strings.HasPrefix(c.absent, notRun) {
				c.absent = "not offered: " + c.absent
			}
			fmt.Printf("CELL|%s|%s|%s\n", peer, row, c.absent)
			continue
		}
		if !isWanted(row) {
			continue
		}
		t.Run(row, func(t *testing.T) {
			before := s.t
			s.t = t
			defer func() { s.t = before }()
			start, saw, said := time.Now(), "", len(s.said.String())
			defer func() {
				if t.Failed() {
					saw = "FAILED"
					t.Logf("%s said:\n%s", peer, tail(s.said.String()[said:], 60))
				}
				fmt.Printf("CELL|%s|%s|%s\n", peer, row, saw)
				fmt.Printf("TIME|%s|%s|%v\n", peer, row, time.Since(start).Round(100*time.Millisecond))
			}()
			saw = c.run(s)
		})
	}
}

// carries brings a connection up, sends pings and a megabyte through it, and ends
// it.
func carries(c func(*site) connection) cell {
	return cell{run: func(s *site) string {
		r := s.up(c(s))
		s.ping(inside)
		s.transfer(inside)
		r.stop()
		return "ping, 1 MB of TCP"
	}}
}

// clientRekeys renews the IKE_SA and the CHILD_SA by the client's timers, under a
// running ping.
func clientRekeys(c connection) cell {
	return cell{run: func(s *site) string {
		c.settings += "\nrekey_time = 3s\nrand_time = 0\nover_time = 60s\n"
		c.child += "\nrekey_time = 2s\nlife_time = 60s\nrand_time = 0\n"
		r := s.up(c)
		s.ping(inside)
		counts := s.flood(inside, 8)
		r.waitFor("IKE_SA home[2] rekeyed between")
		require.Eventually(s.t, func() bool { return r.count("sending DELETE for ESP CHILD_SA") >= 2 }, patience, 50*time.Millisecond, "two rekeyings of the CHILD_SA")
		lost, sent := counts()
		require.LessOrEqual(s.t, lost, sent/20, "pings lost of %d", sent)
		s.ping(inside)
		require.Equal(s.t, 1, r.count("] established between"), "one connection all the time")
		r.stop()
		return "both, under a ping"
	}}
}

// moves changes the client's address under a running ping.
func moves(c connection) cell {
	return cell{run: func(s *site) string {
		r := s.up(c)
		s.ping(inside)
		counts := s.flood(inside, 6)
		s.readdress(s.ClientAddr, "192.168.0.150")
		r.waitFor("moved to 192.168.0.150")
		lost, sent := counts()
		require.Less(s.t, lost, sent, "no ping crossed")
		s.ping(inside)
		s.transfer(inside)
		require.Equal(s.t, 1, r.count("] established between"), "one IKE_SA all the time")
		r.stop()
		s.readdress("192.168.0.150", s.ClientAddr)
		return "new address, same IKE_SA, 1 MB of TCP after"
	}}
}

// readdress gives the client another address.
func (s *site) readdress(from, to string) {
	s.t.Helper()
	dev := s.device(s.Client, from)
	s.ip("-n " + s.Client + " addr add " + to + "/24 dev " + dev)
	s.ip("-n " + s.Client + " addr del " + from + "/24 dev " + dev)
	// A secondary address goes with the primary one: it comes again.
	_, _ = netns.Run(s.Client, "ip", "addr", "add", to+"/24", "dev", dev)
	s.ip("-n " + s.Gateway + " route replace default via " + to)
}

// overIPv6 tunnels IPv6 in IPv6.
func overIPv6(c connection) cell {
	return cell{run: func(s *site) string {
		c.remote, c.vips, c.remoteTS = outer6, "::", "fec1::/64"
		r := s.up(c)
		s.ping(inside6)
		s.transfer(inside6)
		r.stop()
		return "ping, 1 MB of TCP"
	}}
}

// fragmented checks that both ends cut what is larger than a packet.
func fragmented(c connection) cell {
	return cell{run: func(s *site) string {
		c.strongswan += "\nfragment_size = 700\n"
		r := s.up(c)
		_, out, ok := strings.Cut(r.out.String(), "splitting IKE message")
		require.True(s.t, ok, "the client's IKE_AUTH in fragments")
		out, _, ok = strings.Cut(out, "parsed IKE_AUTH response")
		require.True(s.t, ok)
		require.Greater(s.t, strings.Count(out, "received packet"), 3, "the gateway's IKE_AUTH in fragments")
		s.ping(inside)
		r.stop()
		return "both directions"
	}}
}

// reauthenticates makes a new IKE_SA in place of the old one, under a TCP
// connection inside the tunnel.
func reauthenticates(c connection) cell {
	return cell{run: func(s *site) string {
		c.settings += "\nreauth_time = 10s\nrand_time = 0s\nover_time = 60s\n"
		r := s.up(c)
		s.ping(inside)
		before := s.virtualIP()
		counts := s.flood(inside, 12)
		r.waitFor("IKE_SA home[2] established")
		lost, sent := counts()
		s.ping(inside)
		after := s.virtualIP()
		r.stop()
		require.Less(s.t, lost, sent, "no ping crossed")
		if before != after {
			return "another one: the gateway assigns it"
		}
		require.LessOrEqual(s.t, lost, sent/5, "pings lost of %d", sent)
		return "the same one, under a ping"
	}}
}

// virtualIP is the address of the tunnel's device, which is made again where the
// gateway assigns another.
func (s *site) virtualIP() string {
	s.t.Helper()
	var found string
	require.Eventually(s.t, func() bool {
		out, err := netns.Run(s.Client, "ip", "-o", "-4", "addr", "show")
		if err != nil {
			return false
		}
		for l := range strings.Lines(out) {
			f := strings.Fields(l)
			if p, err := netip.ParsePrefix(f[3]); err == nil && strings.HasPrefix(f[1], "tnc") {
				found = p.Addr().String()
				return true
			}
		}
		return false
	}, patience, 100*time.Millisecond, "no virtual IP")
	return found
}

// comesBack cuts the gateway off until dead peer detection notices, and lets it
// come back.
func comesBack(c connection) cell {
	return cell{run: func(s *site) string {
		c.settings += "\ndpd_delay = 1s\n"
		c.child += "\ndpd_action = restart\n"
		c.strongswan += "\nretransmit_tries = 2\nretransmit_timeout = 0.5\n"
		r := s.up(c)
		s.ping(inside)
		dev := s.device(s.Gateway, s.GatewayAddr)
		s.ip("-n " + s.Gateway + " link set " + dev + " down")
		r.waitFor("connecting again in")
		require.Contains(s.t, r.out.String(), "sending DPD request")
		s.ip("-n " + s.Gateway + " link set " + dev + " up")
		s.ip("-n " + s.Gateway + " route replace default via " + s.ClientAddr)
		require.Eventually(s.t, func() bool { return r.count("] established between") >= 2 }, patience, 50*time.Millisecond, "it did not connect again")
		s.ping(inside)
		r.stop()
		s.ip("-n " + s.Gateway + " addr replace " + outer6 + "/64 dev " + dev + " nodad")
		s.ip("-n " + s.Gateway + " -6 route replace default via fec0::100")
		return "noticed, connected again"
	}}
}

// forgets puts a NAT between the two that loses its mapping, with ESP over TUN and ESP of
// the kernel. It changes the link, so it is the last row to run.
func forgets(c connection) cell {
	return cell{run: func(s *site) string {
		c.settings += "\ndpd_delay = 1s\n"
		c.child += "\nrekey_time = 1h\n"
		nat := s.Behind(s.t)
		s.ip("-n " + s.Gateway + " route replace default via " + nat.Addr) // towards virtual addresses
		if err := nat.Translate("20000-20100"); err != nil {
			s.t.Log(err)
			return notRun + " no NAT (internal/interop/vm/uml.sh makes one)"
		}
		saw := survivesNAT(s, c, nat)
		c.dataplane = "xfrm"
		kernel := survivesNAT(s, c, nat)
		if kernel == saw {
			kernel = "the same"
		}
		return saw + "; ESP of the kernel: " + kernel
	}}
}

// survivesNAT connects through a NAT that forgets its mapping, and says what helped.
func survivesNAT(s *site, c connection, nat *netns.NAT) string {
	require.NoError(s.t, nat.Translate("20000-20100"))
	r := s.up(c)
	require.Contains(s.t, r.out.String(), "local host is behind NAT")
	s.ping(inside)
	s.transfer(inside)
	// Two answers to DPD with hashes: what later ones are compared with.
	require.Eventually(s.t, func() bool { return r.count("parsed INFORMATIONAL response") >= 2 }, patience, 50*time.Millisecond)
	require.NoError(s.t, nat.Translate("30000-30100"))
	nat.Forget(s.t)
	time.Sleep(3 * time.Second) // the mapping runs out while nothing is sent but DPD
	out, err := netns.Run(nat.Name, "sh", "-c", "for f in /proc/sys/net/netfilter/nf_conntrack_udp_timeout*; do echo 60 >$f; done")
	require.NoError(s.t, err, out)
	crosses := func() bool {
		for range 90 {
			if _, err := netns.Run(s.Client, "ping", "-c", "1", "-W", "1", inside); err == nil {
				return true
			}
		}
		return false
	}
	require.True(s.t, crosses(), "no packet crosses any more")
	require.Equal(s.t, 1, r.count("] established between"), "one IKE_SA all the time")
	said := r.out.String()
	r.stop()
	if strings.Contains(said, "making new CHILD_SAs") {
		return "same IKE_SA; ESP's silence is noticed, packets with new CHILD_SAs"
	}
	if strings.Contains(said, "telling it our addresses again") {
		return "same IKE_SA; ESP's silence is noticed, packets once MOBIKE told the gateway"
	}
	return "same IKE_SA, ping through the new mapping"
}
