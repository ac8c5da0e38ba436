package peers

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

const (
	pluto = "/usr/libexec/ipsec/pluto"
	whack = "/usr/libexec/ipsec/whack"
)

// libreswan is pluto in the gateway's namespace.
type libreswan struct {
	*site
}

// startLibreswan configures and starts pluto, and returns when it has loaded its
// connections.
func startLibreswan(s *site) *libreswan {
	t := s.t
	l := &libreswan{site: s}
	nss := filepath.Join(s.dir, "nss")
	require.NoError(t, os.MkdirAll(nss, 0o755))
	s.write("nss/pw", "")
	run := func(args ...string) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", args, out)
	}
	p12, err := pkcs12.Legacy.Encode(s.gw.PrivateKey, s.gw.Leaf, []*x509.Certificate{s.ca.Cert}, "x")
	require.NoError(t, err)
	s.write("gw.p12", string(p12))
	run("certutil", "-N", "-d", "sql:"+nss, "-f", filepath.Join(nss, "pw"))
	run("pk12util", "-i", filepath.Join(s.dir, "gw.p12"), "-d", "sql:"+nss, "-k", filepath.Join(nss, "pw"), "-W", "x")
	p12, err = pkcs12.Legacy.Encode(s.gwRSA.PrivateKey, s.gwRSA.Leaf, []*x509.Certificate{s.ca.Cert}, "x")
	require.NoError(t, err)
	s.write("gwrsa.p12", string(p12))
	run("pk12util", "-i", filepath.Join(s.dir, "gwrsa.p12"), "-d", "sql:"+nss, "-k", filepath.Join(nss, "pw"), "-W", "x")
	// pk12util names a certificate by its subject.
	run("certutil", "-M", "-d", "sql:"+nss, "-f", filepath.Join(nss, "pw"), "-n", "gotnc test CA - gotnc", "-t", "CT,,")

	s.write("/etc/ipsec.secrets", fmt.Sprintf("@%s @psk.gotnc.test : PSK \"%s\"\n@%s @psk6.gotnc.test : PSK \"%s\"\n", gatewayID, secret, gatewayID, secret))
	s.write("/etc/ipsec.conf", fmt.Sprintf(libreswanConf, nss, tcpListens()))
	for _, d := range []string{"/etc/ipsec.d/policies", "/run/pluto", "/var/lib/ipsec/nss"} {
		require.NoError(t, os.MkdirAll(d, 0o755))
	}
	s.daemon(pluto, "--nofork", "--stderrlog", "--config", "/etc/ipsec.conf", "--nssdir", nss)
	require.Eventually(t, func() bool { return strings.Contains(s.said.String(), `"zlast": added`) },
		patience, 100*time.Millisecond, "pluto did not load its connections: %s", s.said)
	return l
}

// tcpListens is pluto's setting where the kernel has ESP in TCP.
func tcpListens() string {
	if os.Getenv("GOTNC_ESPINTCP") != "" {
		return "listen-tcp=yes"
	}
	return "listen-tcp=no"
}

const libreswanConf = `config setup
	nssdir=%s
	uniqueids=yes
	dnssec-enable=no
	virtual-private=%%v4:10.0.0.0/8
	%s

conn %%default
	left=192.168.0.1
	leftsubnet=10.1.0.0/24
	leftid=@gw.gotnc.test
	leftupdown=%%disabled
	right=%%any
	ikev2=insist
	auto=add
	fragmentation=yes
	mobike=yes
	narrowing=yes
	rekey=no
	encapsulation=auto

conn psk
	authby=secret
	rightid=@psk.gotnc.test
	rightaddresspool=10.3.0.1-10.3.0.50
	modecfgdns=10.1.0.53

conn cert
	leftcert="gw.gotnc.test - gotnc"
	leftauth=ecdsa
	rightauth=ecdsa
	rightca=%%same
	rightid=%%fromcert
	rightaddresspool=10.3.1.1-10.3.1.50

conn eaptls
	leftid=@rsa.gotnc.test
	leftcert="rsa.gotnc.test - gotnc"
	leftauth=rsasig
	leftautheap=tls
	leftsendcert=always
	right=192.168.0.101
	rightauth=eaponly
	rightautheap=tls
	rightid=@eap.gotnc.test
	rightaddresspool=10.3.2.1-10.3.2.50

conn v6
	left=fec0::1
	leftsubnet=fec1::/64
	authby=secret
	right=%%any6
	rightid=@psk6.gotnc.test
	rightaddresspool=fec3::/112

conn zlast
	authby=secret
	rightid=@nobody.gotnc.test
	rightaddresspool=10.3.9.1-10.3.9.2
`

// whack tells pluto something.
func (l *libreswan) whack(args ...string) string {
	l.t.Helper()
	out, err := netns.Run(l.Gateway, append([]string{whack}, args...)...)
	require.NoError(l.t, err, out)
	return out
}

func pskOf(name string) connection {
	return connection{
		local: "auth = psk\nid = " + name, other: "auth = psk\nid = " + gatewayID,
		secret: "ike-psk {\nid = " + gatewayID + "\nsecret = \"" + secret + "\"\n}",
	}
}

func certificate() connection {
	return connection{local: "auth = pubkey\ncerts = carol.pem\nid = " + carol, other: "auth = pubkey\nid = " + gatewayID}
}

func TestLibreswan(t *testing.T) {
	s := newSite(t, pluto, "libreswan")
	s.ip("-n " + s.Client + " addr add 192.168.0.101/24 dev " + s.device(s.Client, s.ClientAddr))
	l := startLibreswan(s)
	psk := pskOf("psk.gotnc.test")
	kernel := psk
	kernel.dataplane = "xfrm"
	rows := []string{rowPSK, rowCertificate, rowMSCHAPv2, rowEAPTLS, rowKernel, rowOurRekeying, rowPeerRekeys, rowMOBIKE, rowFragments,
		rowIPv6, rowReauth, rowCookie, rowDPD, rowTCP, rowNAT}
	matrix(t, s, "libreswan", rows, map[string]cell{
		rowPSK:         carries(func(*site) connection { return psk }),
		rowCertificate: carries(func(*site) connection { return certificate() }),
		rowMSCHAPv2:    {absent: "autheap= knows none and tls"},
		rowEAPTLS:      {run: func(*site) string { return l.eapTLS() }},
		rowKernel:      carries(func(*site) connection { return kernel }),
		rowOurRekeying: clientRekeys(psk),
		rowPeerRekeys:  {run: func(*site) string { return l.rekeys(psk) }},
		rowMOBIKE:      moves(psk),
		rowFragments:   fragmented(certificate()),
		rowIPv6:        overIPv6(pskOf("psk6.gotnc.test")),
		rowReauth:      reauthenticates(psk),
		rowCookie:      {run: func(*site) string { return l.cookie(psk) }},
		rowDPD:         comesBack(psk),
		rowTCP:         overTCP(psk),
		rowNAT:         forgets(psk),
	})
}

// overTCP blocks UDP, so that the client goes over TCP.
func overTCP(c connection) cell {
	if os.Getenv("GOTNC_ESPINTCP") == "" {
		return cell{absent: notRun + " no ESP in TCP (CONFIG_INET_ESPINTCP), which pluto needs; internal/interop/vm/uml.sh makes one"}
	}
	return cell{run: func(s *site) string {
		s.write("block.nft", "table inet block {\n chain in {\n type filter hook input priority 0;\n udp dport { 500, 4500 } drop\n }\n}\n")
		out, err := netns.Run(s.Gateway, "nft", "-f", s.dir+"/block.nft")
		require.NoError(s.t, err, out)
		defer func() { _, _ = netns.Run(s.Gateway, "nft", "delete", "table", "inet", "block") }()
		c.settingsOfTNC = "tcp_after = 2"
		c.settings += "\ndpd_delay = 3s\n"
		r := s.up(c)
		require.Contains(s.t, r.out.String(), " over TCP")
		s.ping(inside)
		s.transfer(inside)
		require.Equal(s.t, 1, r.count("] established between"), "one IKE_SA all the time")

		// The connection falls silent, as at a router that was restarted.
		s.write("silent.nft", "table inet silent {\n chain in {\n type filter hook input priority 0;\n tcp dport 4500 drop\n }\n}\n")
		out, err = netns.Run(s.Gateway, "nft", "-f", s.dir+"/silent.nft")
		require.NoError(s.t, err, out)
		r.waitFor("making a new TCP connection")
		out, err = netns.Run(s.Gateway, "nft", "delete", "table", "inet", "silent")
		require.NoError(s.t, err, out)
		r.waitFor("TCP connection made again")
		require.Eventually(s.t, func() bool {
			_, err := netns.Run(s.Client, "ping", "-c", "1", "-W", "1", inside)
			return err == nil
		}, 2*patience, 100*time.Millisecond, "no packet crosses the new TCP connection")
		established := r.count("] established between")
		s.transfer(inside)
		r.stop()
		if established > 1 {
			return "after UDP got no answer; ping, 1 MB of TCP; a new IKE_SA once TCP fell silent"
		}
		return "after UDP got no answer; ping, 1 MB of TCP; the same IKE_SA once TCP fell silent"
	}}
}

// rekeys has pluto rekey both SAs under a running ping.
func (l *libreswan) rekeys(c connection) string {
	r := l.up(c)
	l.ping(inside)
	counts := l.flood(inside, 8)
	l.whack("--rekey-ipsec", "--name", "psk")
	require.Eventually(l.t, func() bool { return r.count("received DELETE for ESP CHILD_SA") >= 1 }, patience, 50*time.Millisecond, "the CHILD_SA was not rekeyed")
	l.whack("--rekey-ike", "--name", "psk")
	r.waitFor("IKE_SA home[2] rekeyed between")
	l.whack("--rekey-ipsec", "--name", "psk")
	require.Eventually(l.t, func() bool { return r.count("received DELETE for ESP CHILD_SA") >= 2 }, patience, 50*time.Millisecond, "the CHILD_SA was not rekeyed on the new IKE_SA")
	lost, sent := counts()
	require.LessOrEqual(l.t, lost, sent/20, "pings lost of %d", sent)
	l.ping(inside)
	r.stop()
	return "both, under a ping"
}

// eapTLS connects with certificates of RSA: pluto's EAP-TLS asks for the RSA key of
// the gateway's certificate, whatever kind that is of.
func (l *libreswan) eapTLS() string {
	r := l.up(connection{
		settings: "local_addrs = 192.168.0.101\n",
		local:    "auth = eap-tls\nid = eap.gotnc.test\ncerts = rsa.pem", other: "auth = pubkey\nid = rsa.gotnc.test",
		strongswan: "tls {\nversion_max = 1.2\n}\n",
	})
	l.ping(inside)
	l.transfer(inside)
	r.stop()
	return "ping, 1 MB of TCP; certificates of RSA, TLS 1.2"
}

// cookie has pluto ask for one.
func (l *libreswan) cookie(c connection) string {
	l.whack("--ddos-busy")
	defer l.whack("--ddos-auto")
	r := l.up(c)
	require.Contains(l.t, r.out.String(), "received COOKIE notify, repeating IKE_SA_INIT with it")
	l.ping(inside)
	r.stop()
	return "asked for, sent"
}
