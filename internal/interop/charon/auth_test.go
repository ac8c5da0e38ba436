package charon

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// authCase is how both ends authenticate, in the words of swanctl.conf.
type authCase struct {
	gwLocal, gwRemote string // bodies of sections, or whole sections with names
	clLocal, clRemote string
	secrets           string // of both ends
	gwMore, clMore    string // of the connection
	gwTop, clTop      string // beside connections
}

// sections writes "local { … }" around a body that is not sections already.
func sections(name, body string) string {
	if strings.Contains(body, "{") {
		return body
	}
	return name + " {\n" + body + "\n}\n"
}

// authenticate configures both ends anew, connects once, and returns exit code
// and output of tnc.
func (s *site) authenticate(c authCase) (code int, says string) {
	s.t.Helper()
	s.loadGateway(c)
	return s.tryClient(c)
}

// loadGateway configures the gateway alone.
func (s *site) loadGateway(c authCase) {
	s.t.Helper()
	s.write("gw/swanctl/swanctl.conf", "connections {\n rw {\n  local_addrs = %s\n  version = 2\n  proposals = %s\n%s\n%s%s  children {\n   rw {\n    local_ts = 10.1.0.0/24\n    esp_proposals = %s\n   }\n  }\n }\n}\nsecrets {\n%s\n}\n%s",
		s.GatewayAddr, usualIKE, c.gwMore, sections("local", c.gwLocal), sections("remote", c.gwRemote), usualESP, c.secrets, c.gwTop)
	for _, load := range [][]string{{"--reload-settings"}, {"--load-all", "--clear"}} {
		out, err := s.swanctl(load...)
		require.NoError(s.t, err, out)
	}
}

// tryClient configures the client alone.
func (s *site) tryClient(c authCase) (code int, says string) {
	s.t.Helper()
	s.write("cl/swanctl/swanctl.conf", "connections {\n home {\n  local_addrs = %s\n  remote_addrs = %s\n  version = 2\n  proposals = %s\n%s\n%s%s  children {\n   home {\n    remote_ts = 10.1.0.0/24\n    esp_proposals = %s\n   }\n  }\n }\n}\nsecrets {\n%s\n}\n%s",
		s.ClientAddr, s.GatewayAddr, usualIKE, c.clMore, sections("local", c.clLocal), sections("remote", c.clRemote), usualESP, c.secrets, c.clTop)
	stdout, stderr, code := s.run("attest", "-v")
	return code, stdout + stderr
}

// useAsTLSServer takes the certificate that newSite made away.
func (s *site) useAsTLSServer() {
	for _, dir := range []string{"x509", "private"} {
		require.NoError(s.t, os.Remove(filepath.Join(s.dir, "gw", "swanctl", dir, "gw.pem")))
	}
}

func (s *site) accepted(c authCase, lines ...string) {
	s.t.Helper()
	code, says := s.authenticate(c)
	require.Zero(s.t, code, says)
	for _, l := range lines {
		require.Contains(s.t, says, l)
	}
}

func (s *site) refused(c authCase, why string) {
	s.t.Helper()
	code, says := s.authenticate(c)
	require.Equal(s.t, 1, code, says)
	last := tail([]byte(strings.TrimSpace(says)), 1)
	require.True(s.t, strings.HasPrefix(last, "tnc: "), "one sentence last: %q", last)
	require.Contains(s.t, last, why)
}

// certificates gives both ends a certificate of their own in name.pem, and the
// CA to both.
func (s *site) certificates(ca *testpki.CA, name string, k testpki.Key, edit func(*x509.Certificate)) (gw, cl tls.Certificate) {
	s.t.Helper()
	var err error
	gw, err = ca.Issue(gatewayID, k, edit)
	require.NoError(s.t, err)
	cl, err = ca.Issue("carol.gotnc.test", k, func(c *x509.Certificate) {
		c.EmailAddresses, c.ExtKeyUsage = []string{user}, nil
	})
	require.NoError(s.t, err)
	in := func(end, dir, file string) string { return filepath.Join(s.dir, end, "swanctl", dir, file) }
	require.NoError(s.t, testpki.WriteFiles(gw, in("gw", "x509", name+".pem"), in("gw", "private", name+".pem")))
	require.NoError(s.t, testpki.WriteFiles(cl, in("cl", "x509", name+".pem"), in("cl", "private", name+".pem")))
	for _, end := range []string{"gw", "cl"} {
		s.write(end+"/swanctl/x509ca/"+name+".pem", "%s", ca.PEM())
	}
	return gw, cl
}

func newCA(t *testing.T, k testpki.Key) *testpki.CA {
	t.Helper()
	ca, err := testpki.NewCA(fmt.Sprintf("%s CA", t.Name()), k)
	require.NoError(t, err)
	return ca
}

const (
	byPSK   = "auth = psk\n"
	gwIs    = "id = " + gatewayID + "\n"
	carolIs = "id = " + user + "\n"
)

func pubkey(auth, file string) string { return "auth = " + auth + "\ncerts = " + file + ".pem\n" }

func TestPSKWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	c := authCase{gwLocal: byPSK + gwIs, gwRemote: byPSK + carolIs, clLocal: byPSK + carolIs, clRemote: byPSK + gwIs,
		secrets: "ike {\nid = " + user + "\nid2 = " + gatewayID + "\nsecret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx\n}\nike-other {\nid = dave@gotnc.test\nsecret = other\n}\n"}
	s.accepted(c, "authentication of '"+gatewayID+"' with pre-shared key successful")
	// Identities of every kind.
	for _, id := range []string{"carol.gotnc.test", s.ClientAddr, "keyid:carol", `"C=CH, O=gotnc, CN=carol"`} {
		d := c
		d.gwRemote, d.clLocal = byPSK+"id = "+id+"\n", byPSK+"id = "+id+"\n"
		d.secrets = "ike {\nsecret = any\n}\n"
		s.accepted(d)
	}
	d := c
	d.clRemote = byPSK + "id = sun.gotnc.test\n"
	s.refused(d, "") // the gateway has no such identity
	d = c
	d.clLocal = byPSK + "id = dave@gotnc.test\n"
	s.refused(d, "preshared key")
}

// Every kind of key, signed as RFC 7427 has it; RSA and ECDSA also as before.
func TestSignaturesWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	conf, err := os.ReadFile(filepath.Join(s.dir, "gw", "strongswan.conf"))
	require.NoError(t, err)
	for _, k := range []struct {
		name    string
		kind    testpki.Key
		auth    string
		says    string
		classic string
	}{
		{"rsa", testpki.RSA, "pubkey", "RSA_EMSA_PKCS1_SHA2_", "RSA_EMSA_PKCS1_SHA1"},
		{"rsapss", testpki.RSA, "rsa/pss-sha256", "RSA_EMSA_PSS_SHA2_256", ""},
		{"rsa512", testpki.RSA, "ike:rsa-sha512", "RSA_EMSA_PKCS1_SHA2_512", ""},
		{"ecdsa256", testpki.ECDSA, "ecdsa", "ECDSA_WITH_SHA2_256_DER", "ECDSA_WITH_SHA2_256_DER"},
		{"ecdsa384", testpki.ECDSA384, "pubkey", "ECDSA_WITH_SHA2_384_DER", "ECDSA_WITH_SHA2_384_DER"},
		{"ecdsa521", testpki.ECDSA521, "ecdsa-521", "ECDSA_WITH_SHA2_512_DER", "ECDSA_WITH_SHA2_512_DER"},
		{"ed25519", testpki.Ed25519, "ike:ed25519", "ED25519", ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			s := &site{Pair: s.Pair, t: t, dir: s.dir, tnc: s.tnc, peer: s.peer}
			s.certificates(newCA(t, testpki.RSA), k.name, k.kind, nil)
			auth := k.auth
			if k.name == "rsapss" {
				auth = "ike:" + k.auth // the CA signs with PKCS #1
			}
			// The gateway takes what comes and signs as it is told.
			c := authCase{gwLocal: pubkey(auth, k.name) + gwIs, gwRemote: "auth = pubkey\n" + carolIs,
				clLocal: pubkey(auth, k.name) + carolIs, clRemote: "auth = " + auth + "\n" + gwIs}
			s.accepted(c, "authentication of '"+user+"' (myself) with "+k.says, "authentication of '"+gatewayID+"' with "+k.says)
			if k.classic == "" {
				return
			}
			s.write("gw/strongswan.conf", "%s", strings.Replace(string(conf), "charon {\n", "charon {\n  signature_authentication = no\n", 1))
			c.gwLocal, c.clLocal, c.clRemote = pubkey("pubkey", k.name)+gwIs, pubkey("pubkey", k.name)+carolIs, "auth = pubkey\n"+gwIs
			if k.kind == testpki.RSA {
				s.refused(c, "set tnc.auth.sha1_signatures = yes in strongswan.conf")
				client := filepath.Join(s.dir, "cl", "strongswan.conf")
				was, err := os.ReadFile(client)
				require.NoError(t, err)
				s.write("cl/strongswan.conf", "%s\ntnc {\n auth {\n sha1_signatures = yes\n }\n}\n", was)
				defer s.write("cl/strongswan.conf", "%s", was)
			}
			s.accepted(c, "authentication of '"+user+"' (myself) with "+k.classic, "authentication of '"+gatewayID+"' with "+k.classic)
			s.write("gw/strongswan.conf", "%s", conf)
		})
	}
}

// The gateway signs, then EAP authenticates us, without a key of its own (MD5)
// and with one (MSCHAPv2).
func TestSignatureThenEAPWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.certificates(newCA(t, testpki.ECDSA), "gwcert", testpki.ECDSA, nil)
	for _, method := range []string{"md5", "mschapv2", "ttls"} {
		c := authCase{gwLocal: pubkey("pubkey", "gwcert") + gwIs, gwRemote: "auth = eap-" + method + "\nid = *@gotnc.test\n",
			clLocal: "auth = eap-" + method + "\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs,
			secrets: "eap {\nid = " + user + "\nsecret = " + password + "\n}\n"}
		s.accepted(c, "authentication of '"+gatewayID+"' with ECDSA")
		if method != "ttls" {
			c.clRemote = "auth = eap-" + method + "\n" + gwIs
			s.refused(c, "pubkey") // no password before the gateway's proof
		}
	}
}

// RFC 4739: a certificate and then EAP; two rounds of both ends.
func TestSeveralRoundsWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.certificates(newCA(t, testpki.RSA), "first", testpki.RSA, nil)
	two := func(end, name, one, other string) string {
		return end + "-1 {\nround = 1\n" + one + "}\n" + end + "-2 {\nround = 2\n" + other + "}\n" + name
	}
	c := authCase{
		gwLocal:  pubkey("pubkey", "first") + gwIs,
		gwRemote: two("remote", "", "auth = pubkey\n"+carolIs, "auth = eap-md5\neap_id = %any\n"),
		clLocal:  two("local", "", pubkey("pubkey", "first")+carolIs, "auth = eap-md5\n"+carolIs),
		clRemote: "auth = pubkey\n" + gwIs,
		secrets:  "eap {\nid = " + user + "\nsecret = " + password + "\n}\nike {\nsecret = shared\n}\n",
	}
	s.accepted(c, "authentication of '"+user+"' (myself) with EAP")
	c.gwLocal = two("local", "", pubkey("pubkey", "first")+gwIs, byPSK+"id = second.gotnc.test\n")
	c.gwRemote = two("remote", "", byPSK+carolIs, "auth = pubkey\n"+carolIs)
	c.clLocal = two("local", "", byPSK+carolIs, pubkey("pubkey", "first")+carolIs)
	c.clRemote = two("remote", "", "auth = pubkey\n"+gwIs, byPSK+"id = second.gotnc.test\n")
	s.accepted(c, "authentication of 'second.gotnc.test' with pre-shared key successful")
	c.gwLocal = pubkey("pubkey", "first") + gwIs
	s.refused(c, "1 of 2 rounds")
}

func TestPPKWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ppk := "ppk {\nid = thePPK\nsecret = 0x4d7a3b2f10c5e698\n}\nike {\nsecret = shared\n}\neap {\nid = " + user + "\nsecret = " + password + "\n}\n"
	c := authCase{gwLocal: byPSK + gwIs, gwRemote: byPSK + carolIs, clLocal: byPSK + carolIs, clRemote: byPSK + gwIs, secrets: ppk,
		gwMore: "ppk_required = yes\n", clMore: "ppk_id = thePPK\nppk_required = yes\n"}
	const used = "using PPK for PPK_ID 'thePPK'"
	s.accepted(c, used)
	c.gwMore, c.clMore = "", "ppk_id = thePPK\n"
	s.accepted(c, used)
	c.gwLocal, c.gwRemote, c.clLocal, c.clRemote = "auth = eap-ttls\n"+gwIs, "auth = eap-ttls\nid = *@gotnc.test\n", "auth = eap-ttls\n"+carolIs, "auth = eap-ttls\n"+gwIs
	c.clMore, c.gwMore = "ppk_id = thePPK\nppk_required = yes\n", "ppk_required = yes\n"
	s.accepted(c, used)
	c.clMore = ""
	s.refused(c, "AUTHENTICATION_FAILED")
}

// The chain of both ends leads over an intermediate CA that only its owner has.
func TestIntermediateCAWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	root := newCA(t, testpki.RSA)
	for _, end := range []string{"gw", "cl"} {
		require.NoError(t, os.RemoveAll(filepath.Join(s.dir, end, "swanctl", "x509ca")))
		s.write(end+"/swanctl/x509ca/root.pem", "%s", root.PEM())
	}
	for _, end := range []struct{ dir, name, mail string }{{"gw", gatewayID, "moon@gotnc.test"}, {"cl", "carol.gotnc.test", user}} {
		sub, err := root.SubCA("Sub CA of "+end.dir, testpki.ECDSA, nil)
		require.NoError(t, err)
		cert, err := sub.Issue(end.name, testpki.ECDSA, func(c *x509.Certificate) { c.EmailAddresses = []string{end.mail} })
		require.NoError(t, err)
		require.NoError(t, testpki.WriteFiles(cert, filepath.Join(s.dir, end.dir, "swanctl", "x509", "leaf.pem"), filepath.Join(s.dir, end.dir, "swanctl", "private", "leaf.pem")))
		if end.dir == "gw" {
			s.write("gw/swanctl/x509ca/sub.pem", "%s", sub.PEM())
			continue
		}
		chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), sub.PEM()...)
		s.write("cl/swanctl/x509/leaf.pem", "%s", chain)
	}
	c := authCase{gwLocal: pubkey("pubkey", "leaf") + gwIs, gwRemote: "auth = pubkey\n" + carolIs + "cacerts = root.pem\n",
		clLocal: pubkey("pubkey", "leaf") + carolIs, clRemote: "auth = pubkey\n" + gwIs + "cacerts = root.pem\n"}
	s.accepted(c, "generating IKE_AUTH request 1 [ IDi CERT CERT", "path length of 1")
}
