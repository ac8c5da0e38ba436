package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

const iked = "/usr/sbin/iked"

// startOpenIKED configures and starts iked.
func startOpenIKED(s *site) {
	t := s.t
	require.NoError(t, os.RemoveAll("/etc/iked"))
	for _, d := range []string{"ca", "certs", "crls", "ocsp", "private", "pubkeys/ipv4", "pubkeys/ipv6", "pubkeys/fqdn", "pubkeys/ufqdn"} {
		require.NoError(t, os.MkdirAll(filepath.Join("/etc/iked", d), 0o755))
	}
	require.NoError(t, os.MkdirAll("/var/lib/openiked/empty", 0o755))
	s.write("/etc/iked/ca/ca.crt", string(s.ca.PEM()))
	require.NoError(t, os.Chmod("/etc/iked/ca/ca.crt", 0o644)) // for the user _iked
	require.NoError(t, testpki.WriteFiles(s.gw, "/etc/iked/certs/gw.crt", "/etc/iked/private/local.key"))
	s.write("/etc/iked.conf", fmt.Sprintf(ikedConf, password, secret, secret))
	s.daemon(iked, "-dv", "-f", "/etc/iked.conf")
	s.waitUntilItAnswers()
	time.Sleep(time.Second) // its policies come after its sockets
}

// ikedConf has the policy for certificates last: iked takes the last one that fits
// the addresses before it knows who comes, and asks for a certificate, or begins
// EAP, as that policy says. So who uses EAP comes from another address. Without
// stickyaddress a client that authenticates again is given another virtual IP while its
// old IKE_SA has the one that it asks for.
const ikedConf = `set fragmentation
set mobike
set stickyaddress
user "carol" "%s"
ikev2 "psk" passive esp from 10.1.0.0/24 to dynamic local 192.168.0.1 peer any srcid gw.gotnc.test dstid psk.gotnc.test psk "%s" config address 10.6.0.0/24
ikev2 "rekey" passive esp from 10.1.0.0/24 to dynamic local 192.168.0.1 peer any srcid gw.gotnc.test dstid rekey.gotnc.test ikelifetime 5 lifetime 4 psk "%s" config address 10.7.0.0/24
ikev2 "v6" passive esp from fec1::/64 to dynamic local fec0::1 peer any srcid gw.gotnc.test dstid psk6.gotnc.test psk "` + secret + `" config address fec3::/112
ikev2 "cert" passive esp from 10.1.0.0/24 to dynamic local 192.168.0.1 peer any srcid gw.gotnc.test dstid carol@gotnc.test config address 10.5.0.0/24
ikev2 "eap" passive esp from 10.1.0.0/24 to dynamic local 192.168.0.1 peer 192.168.0.101 srcid gw.gotnc.test dstid carol.gotnc.test eap "mschap-v2" config address 10.4.0.0/24 config name-server 10.1.0.53
`

func TestOpenIKED(t *testing.T) {
	s := newSite(t, iked, "openiked")
	startOpenIKED(s)
	s.ip("-n " + s.Client + " addr add 192.168.0.101/24 dev " + s.device(s.Client, s.ClientAddr))
	psk := pskOf("psk.gotnc.test")
	kernel := psk
	kernel.dataplane = "xfrm"
	eap := connection{
		settings: "local_addrs = 192.168.0.101\n",
		local:    "auth = eap-mschapv2\nid = carol.gotnc.test\neap_id = carol", other: "auth = pubkey\nid = " + gatewayID,
		secret: "eap-carol {\nid = carol\nsecret = \"" + password + "\"\n}",
	}
	rows := []string{rowPSK, rowCertificate, rowMSCHAPv2, rowEAPTLS, rowKernel, rowOurRekeying, rowPeerRekeys, rowMOBIKE, rowFragments,
		rowIPv6, rowReauth, rowCookie, rowDPD, rowTCP, rowNAT}
	matrix(t, s, "OpenIKED", rows, map[string]cell{
		rowPSK:         carries(func(*site) connection { return psk }),
		rowCertificate: carries(func(*site) connection { return certificate() }),
		rowMSCHAPv2:    carries(func(*site) connection { return eap }),
		rowEAPTLS:      {absent: "its only EAP method is MSCHAPv2"},
		rowKernel:      carries(func(*site) connection { return kernel }),
		rowOurRekeying: clientRekeys(psk),
		rowPeerRekeys:  {run: func(s *site) string { return ikedRekeys(s, pskOf("rekey.gotnc.test")) }},
		rowMOBIKE:      {run: func(s *site) string { return ikedMoves(s, psk) }},
		rowFragments:   fragmented(certificate()),
		rowIPv6:        overIPv6(pskOf("psk6.gotnc.test")),
		rowReauth:      reauthenticates(psk),
		rowCookie:      {absent: "as a responder it sends none"},
		rowDPD:         comesBack(psk),
		rowTCP:         {absent: "it opens UDP sockets only"},
		rowNAT:         forgets(psk),
	})
}

// ikedRekeys waits until iked has rekeyed both SAs by its timers, under a running
// ping.
func ikedRekeys(s *site, c connection) string {
	r := s.up(c)
	s.ping(inside)
	counts := s.flood(inside, 12)
	require.Eventually(s.t, func() bool { return r.count("received DELETE for ESP CHILD_SA") >= 1 }, patience, 50*time.Millisecond, "the CHILD_SA was not rekeyed")
	r.waitFor("IKE_SA home[2] rekeyed between")
	lost, sent := counts()
	require.LessOrEqual(s.t, lost, sent/20, "pings lost of %d", sent)
	s.ping(inside)
	r.stop()
	return "both, under a ping"
}

// ikedMoves changes the client's address. iked takes it and answers, but Linux
// refuses its update of the SAs through PF_KEY: no packet crosses until new ones
// are made.
func ikedMoves(s *site, c connection) string {
	c.settings += "\ndpd_delay = 1s\n"
	c.child += "\nrekey_time = 20s\nlife_time = 60s\nrand_time = 0\n"
	r := s.up(c)
	s.ping(inside)
	s.readdress(s.ClientAddr, "192.168.0.150")
	r.waitFor("moved to 192.168.0.150")
	r.waitFor("sending DELETE for ESP CHILD_SA") // the next rekeying
	s.ping(inside)
	refused := strings.Contains(s.said.String(), "pfkey_reply: message: Invalid argument")
	require.Equal(s.t, 1, r.count("] established between"), "one IKE_SA all the time")
	r.stop()
	s.readdress("192.168.0.150", s.ClientAddr)
	if refused {
		return "same IKE_SA; packets after the next rekeying: Linux refuses iked's PF_KEY update (Invalid argument)"
	}
	return "new address, same IKE_SA"
}
