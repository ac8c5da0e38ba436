package charon

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// newTPM12Site is newTPMSite with a TPM 1.2, whose keys are in files: "plain", and "pin"
// that has a password.
func newTPM12Site(t *testing.T) *tpmSite {
	t.Helper()
	e, p := tpmtest.Open12(t)
	require.NoError(t, p.Close())
	s := &tpmSite{site: newSite(t, options{proposals: usualIKE, esp: usualESP}), e: e}
	s.e.Config.Timeout = 3 * time.Minute // RSA keys take long to make
	s.ca = newCA(t, testpki.RSA)
	gw, err := s.ca.Issue(gatewayID, testpki.RSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(gw, filepath.Join(s.dir, "gw/swanctl/x509/moon.pem"), filepath.Join(s.dir, "gw/swanctl/private/moon.pem")))
	for _, end := range []string{"gw", "cl"} {
		s.write(end+"/swanctl/x509ca/tpm.pem", "%s", s.ca.PEM())
	}
	opened, err := device.Open(t.Context(), s.e.Config)
	require.NoError(t, err)
	for name, password := range map[string]string{"plain": "", "pin": keyPIN} {
		blob, err := opened.(*tpm12.TPM).CreateSigningKey(t.Context(), tpm12.SigningKeyRequest{Password: []byte(password)})
		require.NoError(t, err)
		file, err := keyfile.MarshalBlob(blob)
		require.NoError(t, err)
		s.write("cl/swanctl/private/"+name+".pem", "%s", file)
		key, err := tpm12.ParseKeyBlob(blob)
		require.NoError(t, err)
		public, err := key.PublicKey()
		require.NoError(t, err)
		s.certificate(name, public)
	}
	require.NoError(t, opened.Close())
	s.write("cl/strongswan.conf", "charon {\n  plugins {\n    tpm {\n      tcti {\n        name = swtpm\n        opts = %s\n      }\n    }\n  }\n}\n", s.e.Config.Opts)
	return s
}

// Keys in a TPM 1.2 prove who we are with PKCS #1 signatures, and say so where another
// kind is asked for.
func TestTPM12KeysWithCharon(t *testing.T) {
	s := newTPM12Site(t)
	s.write("gw/strongswan.conf", "%s", replace(s.read("gw/strongswan.conf"), "version_max", "1.2", 1))
	secrets := "private-1 {\nfile = pin.pem\nsecret = \"" + keyPIN + "\"\n}\n"
	c := authCase{gwLocal: pubkey("pubkey", "moon") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs, secrets: secrets}
	for _, k := range []struct{ key, auth, says string }{
		{"plain", "pubkey", "RSA_EMSA_PKCS1_SHA2_256"}, {"pin", "ike:rsa-sha384", "RSA_EMSA_PKCS1_SHA2_384"}, {"pin", "ike:rsa-sha512", "RSA_EMSA_PKCS1_SHA2_512"},
	} {
		c.clLocal = pubkey(k.auth, k.key) + carolIs
		before := len(s.read("gw/charon.log"))
		s.accepted(c, "authentication of '"+user+"' (myself) with "+k.says)
		require.Contains(t, s.read("gw/charon.log")[before:], "authentication of '"+user+"' with "+k.says)
	}
	c.clLocal = pubkey("ike:rsa/pss-sha256", "plain") + carolIs
	s.refused(c, "the key signs with [RSA_EMSA_PKCS1_SHA1 RSA_EMSA_PKCS1_SHA2_256 RSA_EMSA_PKCS1_SHA2_384 RSA_EMSA_PKCS1_SHA2_512] only")

	tls := c
	tls.gwRemote, tls.clLocal = "auth = eap-tls\n"+carolIs, pubkey("eap-tls", "pin")+carolIs
	tls.gwLocal, tls.clRemote = "auth = eap-tls\ncerts = moon.pem\n"+gwIs, "auth = eap-tls\n"+gwIs
	before := len(s.read("gw/charon.log"))
	s.accepted(tls)
	require.Contains(t, s.read("gw/charon.log")[before:], "authentication of '"+user+"' with EAP successful")

	c.clLocal = pubkey("pubkey", "pin") + carolIs
	c.secrets = strings.Replace(secrets, keyPIN, "xyzzy", 1)
	s.refused(c, "the password is wrong; correct the secret of secrets.private-1")
}
