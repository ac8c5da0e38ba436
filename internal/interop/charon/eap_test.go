package charon

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// eapCase is one EAP method between the client and charon.
type eapCase struct {
	gateway string // the gateway's remote.auth
	client  string // our local.auth; "" = the same
	phase2  string // inside EAP-TTLS or PEAP
	tls     string // the highest version; "" = 1.2
	signs   bool   // the gateway signs before EAP, else EAP alone proves it (RFC 5998)
	method  string // that succeeds
	// identity: the gateway asks for the EAP identity, which is not the IKE one.
	identity bool
}

func (c eapCase) String() string {
	name := c.gateway
	if c.phase2 != "" {
		name += " with " + c.phase2
	}
	if c.client != "" {
		name += " for " + c.client
	}
	if c.tls != "" {
		name += ", TLS " + c.tls
	}
	if c.signs {
		name += ", signed"
	}
	if c.identity {
		name += ", EAP identity"
	}
	return name
}

func (c eapCase) byPassword() bool { return c.gateway != "eap-tls" && c.phase2 != "tls" }

// replace changes a line of a file that begins with key to another value.
func replace(text, key, value string, n int) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), key+" = ") && n > 0 {
			lines[i] = l[:strings.Index(l, key)] + key + " = " + value
			n--
		}
	}
	return strings.Join(lines, "\n")
}

// with puts the case into the files of both ends and has charon read them.
func (s *site) with(c eapCase, gw, cl, conf string) {
	s.t.Helper()
	tls, phase2, client, server := c.tls, c.phase2, c.client, "eap-ttls"
	if tls == "" {
		tls = "1.2"
	}
	if client == "" {
		client = c.gateway
	}
	if c.signs {
		server = "pubkey"
	}
	conf = replace(replace(conf, "version_max", tls, 1), "phase2_method", phase2, 2)
	s.write("gw/strongswan.conf", "%s", conf)
	// The gateway's own section comes first, then that for the client.
	own, rest, _ := strings.Cut(gw, "    remote {")
	s.write("gw/swanctl/swanctl.conf", "%s", replace(own, "auth", server, 1)+"    remote {"+replace(rest, "auth", c.gateway, 1))
	own, rest, _ = strings.Cut(cl, "    remote {")
	s.write("cl/swanctl/swanctl.conf", "%s", strings.Replace(replace(own, "auth", client, 1), "    local {", "    local {\n      certs = carol.pem", 1)+
		"    remote {"+replace(rest, "auth", server, 1))
	if c.identity {
		s.edit("gw/swanctl/swanctl.conf", "id = *@gotnc.test", "id = *@gotnc.test\n      eap_id = %any")
		s.edit("cl/swanctl/swanctl.conf", "id = "+user, "id = device@gotnc.test\n      eap_id = "+user)
	}
	for _, args := range [][]string{{"--reload-settings"}, {"--load-all"}} {
		out, err := s.swanctl(args...)
		require.NoError(s.t, err, out)
	}
}

func (s *site) read(path string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, path))
	require.NoError(s.t, err)
	return string(b)
}

func runEAP(t *testing.T, o options, cases []eapCase) {
	o.proposals, o.esp = usualIKE, usualESP
	s := newSite(t, o)
	own, err := s.ca.Issue("carol.gotnc.test", testpki.RSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.EmailAddresses = []string{user}
	})
	require.NoError(t, err)
	sw := filepath.Join(s.dir, "cl", "swanctl")
	require.NoError(t, testpki.WriteFiles(own, filepath.Join(sw, "x509", "carol.pem"), filepath.Join(sw, "private", "carol.pem")))
	gw, cl, conf := s.read("gw/swanctl/swanctl.conf"), s.read("cl/swanctl/swanctl.conf"), s.read("gw/strongswan.conf")
	for _, c := range cases {
		t.Run(c.String(), func(t *testing.T) {
			s.with(c, gw, cl, conf)
			before := len(s.read("gw/charon.log"))
			stdout, stderr, code := s.run("attest")
			log := s.read("gw/charon.log")[before:]
			require.Zero(t, code, "%s%s\n%s", stdout, stderr, log)
			require.Contains(t, log, "EAP method "+c.method+" succeeded")
			id := user
			if c.identity {
				id = "device@gotnc.test"
				require.Contains(t, log, "received EAP identity '"+user+"'")
			}
			require.Contains(t, log, "authentication of '"+id+"' with EAP successful")
			if !c.byPassword() || c.client != "" || c.tls != "" {
				return
			}
			s.edit("cl/swanctl/swanctl.conf", password, "wrong")
			_, stderr, code = s.run("attest")
			require.Equal(t, 1, code)
			require.Contains(t, stderr, "password")
		})
	}
	s.nothingLeft()
}

// Every EAP method that Debian's charon has, as the outer one and inside of
// EAP-TTLS: both ends have the same keys, and a wrong password is told.
func TestEAPMethodsOfDebian(t *testing.T) {
	for plugin, pkg := range map[string]string{"eap-tls": "libcharon-extra-plugins", "xauth-generic": "libcharon-extauth-plugins"} {
		need.Program(t, "/usr/lib/ipsec/plugins/libstrongswan-"+plugin+".so", pkg)
	}
	runEAP(t, options{}, []eapCase{
		{gateway: "eap-mschapv2", signs: true, method: "EAP_MSCHAPV2"},
		{gateway: "eap-md5", signs: true, method: "EAP_MD5"},
		{gateway: "eap-gtc", signs: true, method: "EAP_GTC"},
		{gateway: "eap-md5", signs: true, method: "EAP_MD5", identity: true},
		{gateway: "eap-ttls", phase2: "md5", method: "EAP_TTLS", identity: true},
		{gateway: "eap-mschapv2", client: "eap", signs: true, method: "EAP_MSCHAPV2"},
		{gateway: "eap-tls", method: "EAP_TLS"},
		{gateway: "eap-tls", signs: true, method: "EAP_TLS"},
		{gateway: "eap-tls", client: "eap", method: "EAP_TLS"},
		{gateway: "eap-ttls", phase2: "mschapv2", method: "EAP_TTLS"},
		{gateway: "eap-ttls", phase2: "gtc", method: "EAP_TTLS"},
		{gateway: "eap-ttls", phase2: "tls", method: "EAP_TTLS"},
		{gateway: "eap-ttls", phase2: "md5", client: "eap-dynamic", signs: true, method: "EAP_TTLS"},
	})
}

// PEAP, which Debian's charon lacks, and TLS 1.3, whose keys it makes wrongly.
func TestEAPMethodsOfStrongSwan6(t *testing.T) {
	runEAP(t, options{peer: strongSwan6(t)}, []eapCase{
		{gateway: "eap-peap", phase2: "mschapv2", method: "EAP_PEAP"},
		{gateway: "eap-peap", phase2: "md5", signs: true, method: "EAP_PEAP"},
		{gateway: "eap-peap", phase2: "gtc", client: "eap", method: "EAP_PEAP"},
		{gateway: "eap-peap", phase2: "tls", method: "EAP_PEAP"},
		{gateway: "eap-peap", phase2: "mschapv2", tls: "1.3", method: "EAP_PEAP"},
		{gateway: "eap-tls", tls: "1.3", method: "EAP_TLS"},
		{gateway: "eap-ttls", phase2: "mschapv2", tls: "1.3", method: "EAP_TTLS"},
		{gateway: "eap-ttls", phase2: "tls", tls: "1.3", method: "EAP_TTLS"},
		{gateway: "eap-dynamic", client: "eap-mschapv2", signs: true, method: "EAP_MSCHAPV2"},
		{gateway: "eap-dynamic", client: "eap-peap", phase2: "mschapv2", signs: true, method: "EAP_PEAP"},
	})
}
