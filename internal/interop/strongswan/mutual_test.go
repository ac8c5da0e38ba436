package strongswan

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutualOverPTTLS is tnccs-20-mutual-pt-tls.
func TestMutualOverPTTLS(t *testing.T) {
	p := newPDP(t, "1.3",
		edit{"moon/strongswan.conf", "tnc-imv tnc-tnccs", "tnc-imv tnc-imc tnc-tnccs"},
		edit{"moon/strongswan.conf", "    tnc-pdp {", "    tnccs-20 {\n mutual = yes\n }\n    tnc-pdp {"},
		edit{"moon/tnc_config", "IMV ", "IMC \"OS\" PREFIX/lib/ipsec/imcvs/imc-os.so\nIMC \"Attestation\" PREFIX/lib/ipsec/imcvs/imc-attestation.so\nIMV "},
	)
	stdout, stderr, err := p.run(p.tnc, "", "IMC \"Attestation\" "+p.lib+"\n", append([]string{"pt-tls", "--json", "-v", "--mutual"}, p.credentials(false)...)...)
	require.NoError(t, err, "%s%s\n%s", stdout, stderr, readFile(t, p.log))
	require.Contains(t, stdout, `"allowed"`)
	require.Contains(t, stderr, "activating mutual PB-TNC half duplex protocol")
	moon := readFile(t, p.log)
	require.Contains(t, moon, "activating mutual PB-TNC half duplex protocol")
	require.Contains(t, moon, "operating system name is 'Debian'")
	require.Contains(t, moon, "PB-TNC access recommendation is 'Access Allowed'", "ours of the server")
	rec, got := p.results()
	require.Equal(t, "0", rec)
	require.Contains(t, got, "directory measurement correct")
}

// TestMutual is tnccs-20-mutual-eap and -mutual-eap-fail: our client measures
// strongSwan's gateway, through the gateway's own OS and Attestation IMCs, while
// that measures us.
func TestMutual(t *testing.T) {
	r := newRig(t)
	original := r.script
	file, err := os.ReadFile("/usr/bin/env")
	require.NoError(t, err)
	digest := fmt.Sprintf("%x", sha256.Sum256(file))
	for _, s := range []struct{ name, digest string }{{"tnccs-20-mutual-eap", digest}, {"tnccs-20-mutual-eap-fail", fmt.Sprintf("%064d", 0)}} {
		t.Run(s.name, func(t *testing.T) {
			r.t, r.script = t, original
			r.edited(
				imvs("imv-attestation", "imc-os", "imc-attestation"),
				edit{moonConf, "tnc-imv tnc-tnccs", "tnc-imv tnc-imc tnc-tnccs"},
				edit{moonConf, "    eap-tnc {", "    tnccs-20 {\n mutual = yes\n }\n    eap-tnc {"},
				edit{carolConf, "    eap-tnc {", "    tnccs-20 {\n mutual = yes\n }\n    eap-tnc {"},
				edit{carolConf, "libtls {", "tnc {\n mutual {\n files {\n env {\n path = /usr/bin/env\n digest = " + s.digest + "\n }\n }\n }\n}\nlibtls {"},
			)
			r.must("moon")
			a := r.attest("ours")
			moon := readFile(t, filepath.Join(r.dir, "moon", "charon.log"))
			require.Contains(t, a.log, "activating mutual PB-TNC half duplex protocol")
			require.Contains(t, moon, "activating mutual PB-TNC half duplex protocol")
			require.Contains(t, moon, "operating system name is 'Debian'", "its IMCs measured it")
			require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
			if s.digest == digest {
				require.Contains(t, moon, "PB-TNC access recommendation is 'Access Allowed'", "ours of the gateway")
				require.NotNil(t, a.Child, "%s", a.log)
				require.Equal(t, "accepted", a.Peer)
				_, got := r.results()
				require.Contains(t, got, "directory measurement correct")
				return
			}
			require.Contains(t, moon, "PB-TNC access recommendation is 'Quarantined'")
			require.Equal(t, "refused", a.Peer)
			require.Nil(t, a.Child)
			require.Contains(t, a.Error, "this side's verifier does not accept the gateway")
		})
	}
	r.t, r.script = t, original
}

// TestLibraryInPTTLSClient is tnccs-20-pdp-pt-tls with our library in
// strongSwan's pt-tls-client.
func TestLibraryInPTTLSClient(t *testing.T) {
	p := newPDP(t, "1.3")
	conf := "pt-tls-client {\n  load = revocation constraints pem openssl nonce random pkcs1 pkcs8 x509 pubkey sha1 gmp tnc-tnccs tnc-imc tnccs-20\n}\nlibtls {\n  version_max = 1.3\n}\n"
	_, stderr, _ := p.run(filepath.Join(p.prefix, "bin/pt-tls-client"), conf, "IMC \"Attestation\" "+p.lib+"\n", append(p.credentials(true), "--debug", "1")...)
	require.Contains(t, stderr, "received SASL Success result")
	require.Contains(t, stderr, `IMC 1 "Attestation"`)
	rec, got := p.decided(1)
	require.Equal(t, "0", rec)
	require.Contains(t, got, "directory measurement correct")
	require.NotContains(t, stderr, "panic")
}

// TestMutualOfTestIMCs is tnccs-20-mutual-eap, -mutual-eap-fail and
// -mutual-pt-tls with the originals' own IMCs and IMVs, which know the commands
// of a test only: our verifier, which measures files, hears nothing from the
// gateway's, and decides by tnc.mutual.on_silence.
func TestMutualOfTestIMCs(t *testing.T) {
	for _, silence := range []string{"allow", "deny"} {
		policy := "tnc {\n  mutual {\n    on_silence = " + silence + "\n  }\n}\n"
		const mutual = "    tnccs-20 {\n mutual = yes\n }\n"
		t.Run("EAP "+silence, func(t *testing.T) {
			r := newRig(t)
			r.edited(
				imvs("imv-test", "imc-test"), testIMV("rounds = 1"), testIMC("command = allow"),
				edit{moonConf, "tnc-imv tnc-tnccs", "tnc-imv tnc-imc tnc-tnccs"},
				edit{moonConf, "    eap-tnc {", mutual + "    eap-tnc {"},
				edit{carolConf, "    eap-tnc {", mutual + "    eap-tnc {"},
				edit{carolConf, "libtls {", policy + "libtls {"},
			)
			r.must("moon")
			a := r.attest("imc-test")
			moon := readFile(t, filepath.Join(r.dir, "moon", "charon.log"))
			require.Contains(t, a.log, "activating mutual PB-TNC half duplex protocol")
			require.Contains(t, moon, "activating mutual PB-TNC half duplex protocol")
			require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
			if silence == "allow" {
				require.Contains(t, moon, "PB-TNC access recommendation is 'Access Allowed'", "ours of the gateway")
				require.NotNil(t, a.Child, "%s", a.log)
			} else {
				require.Contains(t, moon, "PB-TNC access recommendation is 'Access Denied'", "ours of the gateway")
				require.Nil(t, a.Child)
				require.Contains(t, a.Error, "this side's verifier does not accept the gateway")
			}
		})
		t.Run("PT-TLS "+silence, func(t *testing.T) {
			p := newPDP(t, "1.3",
				edit{"moon/strongswan.conf", "tnc-imv tnc-tnccs", "tnc-imv tnc-imc tnc-tnccs"},
				edit{"moon/strongswan.conf", "    tnc-pdp {", mutual + "    tnc-pdp {"},
				edit{"moon/tnc_config", "IMV \"Attestation\"", "IMC \"Test\" PREFIX/lib/ipsec/imcvs/imc-test.so\nIMV \"Test\" PREFIX/lib/ipsec/imcvs/imv-test.so\n#"},
			)
			conf := policy + "libimcv {\n  plugins {\n    imc-test {\n      command = allow\n    }\n  }\n}\n"
			stdout, stderr, err := p.run(p.tnc, conf, "IMC \"Test\" "+p.module("imc-test")+"\n", append([]string{"pt-tls", "--json", "-v", "--mutual"}, p.credentials(false)...)...)
			moon := readFile(t, p.log)
			require.Contains(t, stderr, "activating mutual PB-TNC half duplex protocol")
			if silence == "allow" {
				require.NoError(t, err, "%s%s\n%s", stdout, stderr, moon)
				require.Contains(t, stdout, `"peer": "accepted"`)
				require.Contains(t, moon, "PB-TNC access recommendation is 'Access Allowed'")
			} else {
				require.Equal(t, 1, exitCode(err), "%s%s", stdout, stderr)
				require.Contains(t, stderr, "this side's verifier does not accept the")
				require.Contains(t, stdout, `"peer": "refused"`)
				require.Contains(t, moon, "PB-TNC access recommendation is 'Access Denied'")
			}
		})
	}
}

// A gateway that takes no part in mutual measurement is refused where
// tnc.mutual.required says so, before there is a tunnel.
func TestMutualRequired(t *testing.T) {
	r := newRig(t)
	r.edited(
		imvs("imv-test"), testIMV("rounds = 1"), testIMC("command = allow"),
		edit{carolConf, "    eap-tnc {", "    tnccs-20 {\n mutual = yes\n }\n    eap-tnc {"},
		edit{carolConf, "libtls {", "tnc {\n mutual {\n required = yes\n }\n}\nlibtls {"},
	)
	r.must("moon")
	a := r.attest("imc-test")
	require.Contains(t, a.log, "proposing PB-TNC mutual half duplex protocol")
	require.Contains(t, a.log, "PB-TNC access recommendation is 'Access Allowed'")
	require.Nil(t, a.Child)
	require.Equal(t, "unmeasured", a.Peer)
	require.Contains(t, a.Error, "without having been measured")
}
