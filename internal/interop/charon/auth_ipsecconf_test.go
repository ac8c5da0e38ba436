package charon

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/testpki"
)

// ipsec.conf with the secrets of every type: a preshared key, a certificate
// with its key, two rounds, strictcrlpolicy with a CRL in ipsec.d.
func TestIpsecConfAuthentication(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.RSA)
	_, cl := s.certificates(ca, "own", testpki.RSA, nil)
	in := func(path string) string { return filepath.Join(s.dir, "ip", path) }
	require.NoError(t, testpki.WriteFiles(cl, in("ipsec.d/certs/carol.pem"), in("ipsec.d/private/carol.key")))
	s.write("ip/ipsec.d/cacerts/ca.pem", "%s", ca.PEM())
	s.write("ip/ipsec.secrets", "%s : PSK \"shared\"\n: RSA carol.key\n%s : EAP \"%s\"\n", user, user, password)
	crl, err := ca.CRL(1, time.Now())
	require.NoError(t, err)
	s.write("ip/ipsec.d/crls/ca.crl", "%s", crl)
	secrets := "ike {\nsecret = shared\n}\neap {\nid = " + user + "\nsecret = " + password + "\n}\n"
	for name, c := range map[string]struct {
		gwLocal, gwRemote, conf string
	}{
		"PSK":         {byPSK + gwIs, byPSK + carolIs, "\tauthby=secret\n\tleftid=" + user + "\n"},
		"certificate": {pubkey("pubkey", "own") + gwIs, "auth = pubkey\n" + carolIs, "\tleftauth=pubkey\n\tleftcert=carol.pem\n\tleftid=" + user + "\n\trightauth=pubkey\n"},
		"rounds": {pubkey("pubkey", "own") + gwIs, "remote-1 {\nauth = pubkey\n" + carolIs + "}\nremote-2 {\nround = 2\nauth = eap-md5\n}\n",
			"\tleftauth=pubkey\n\tleftcert=carol.pem\n\tleftid=" + user + "\n\tleftauth2=eap\n\tleftid2=" + user + "\n\trightauth=pubkey\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{Pair: s.Pair, t: t, dir: s.dir, tnc: s.tnc, peer: s.peer}
			s.loadGateway(authCase{gwLocal: c.gwLocal, gwRemote: c.gwRemote, secrets: secrets})
			s.write("ip/ipsec.conf", "config setup\n\tstrictcrlpolicy=yes\nconn home\n\tkeyexchange=ikev2\n\tleft=%s\n\tright=%s\n\trightid=@%s\n\trightsubnet=10.1.0.0/24\n\tike=%s!\n\tesp=%s!\n%s",
				s.ClientAddr, s.GatewayAddr, gatewayID, usualIKE, usualESP, c.conf)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			out, err := netns.Command(ctx, s.Client, s.tnc, "attest", "home", "--ipsec-conf", in("ipsec.conf"), "--strongswan-conf", filepath.Join(s.dir, "cl", "strongswan.conf"),
				"--tnc-config", "/dev/null", "-v").CombinedOutput()
			require.NoError(t, err, "%s", out)
			if name != "PSK" {
				require.Contains(t, string(out), "certificate status is good")
			}
		})
	}
}
