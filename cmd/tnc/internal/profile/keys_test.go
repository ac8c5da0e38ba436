package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/testpki"
)

// keySite is a folder with a certificate whose private key is missing, and CAs, for
// swanctl.conf and for ipsec.conf.
func keySite(t *testing.T) (dir string, write func(name, text string)) {
	t.Helper()
	dir = t.TempDir()
	write = func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	own, err := ca.Issue("carol.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	write("strongswan.conf", "")
	write("tnc_config", "")
	for _, folder := range []string{"x509", "ipsec.d/certs"} {
		write(folder+"/none", "")
		require.NoError(t, testpki.WriteFiles(own, filepath.Join(dir, folder, "carol.pem"), filepath.Join(dir, "key")))
		require.NoError(t, os.Remove(filepath.Join(dir, folder, "none")))
	}
	write("x509ca/ca.pem", string(ca.PEM()))
	write("ipsec.d/cacerts/ca.pem", string(ca.PEM()))
	write("ipsec.conf", "conn home\n\tleft=192.168.0.100\n\tleftcert=carol.pem\n\tright=192.168.0.1\n\tauto=add\n")
	return dir, write
}

// A key that is encrypted, and whose passphrase is wrong or missing, is named with
// file, section or line of the secrets, and what to do.
func TestEncryptedKeys(t *testing.T) {
	dir, write := keySite(t)
	encrypted := func(name string) string {
		b, err := os.ReadFile(filepath.Join("../../../../internal/base/credential/testdata", name))
		require.NoError(t, err)
		return string(b)
	}
	errorsOf := func(f Files) (all []string) {
		f.Strongswan, f.TNCConfig = filepath.Join(dir, "strongswan.conf"), filepath.Join(dir, "tnc_config")
		for _, found := range f.Check(time.Now()) {
			if found.Kind == Error {
				all = append(all, strings.ReplaceAll(found.Text, dir+"/", ""))
			}
		}
		return all
	}
	const conn = "connections {\n home {\n  remote_addrs = 192.168.0.1\n  local {\n   auth = pubkey\n   certs = carol.pem\n  }\n  remote {\n   id = moon\n  }\n  children {\n   home {\n   }\n  }\n }\n}\n"
	const no = `swanctl.conf:6: local.certs of connection "home": x509/carol.pem: no private key fits it`
	for _, k := range []struct{ folder, file, secrets, says string }{
		{"private", "pbes2.pem", "secrets {\n private-1 {\n  file = pbes2.pem\n  secret = wrong\n }\n}\n",
			no + "; swanctl.conf:20: private/pbes2.pem is encrypted, and the secret of secrets.private-1 is not its passphrase: correct it"},
		{"rsa", "legacy.pem", "secrets {\n rsa-1 {\n  file = legacy.pem\n  secret = wrong\n }\n}\n",
			no + "; swanctl.conf:20: rsa/legacy.pem is encrypted, and the secret of secrets.rsa-1 is not its passphrase: correct it"},
		{"private", "pbes2.pem", "secrets {\n private-1 {\n  file = pbes2.pem\n }\n}\n", no + `; swanctl.conf:18: private/pbes2.pem is encrypted: add secret = "PASSPHRASE" to secrets.private-1`},
		{"private", "pbes2.pem", "", no + `; private/pbes2.pem is encrypted: add the section private-pbes2-pem with file = pbes2.pem and secret = "PASSPHRASE" to secrets of swanctl.conf`},
		{"pkcs12", "modern.p12", "secrets {\n pkcs12-c {\n  file = modern.p12\n  secret = wrong\n }\n}\n",
			no + "; swanctl.conf:20: pkcs12/modern.p12 is encrypted, and the secret of secrets.pkcs12-c is not its passphrase: correct it"},
		{"private", "pbes2.pem", "secrets {\n private-1 {\n  file = pbes2.pem\n  secret = sesame\n }\n}\n", no + ": put the key into the folder private, or name it in secrets"},
	} {
		write(k.folder+"/"+k.file, encrypted(k.file))
		write("swanctl.conf", conn+k.secrets)
		require.Equal(t, []string{k.says}, errorsOf(Files{Swanctl: filepath.Join(dir, "swanctl.conf")}), "%+v", k)
		require.NoError(t, os.Remove(filepath.Join(dir, k.folder, k.file)))
	}
	const ino = `ipsec.conf:3: leftcert of connection "home": ipsec.d/certs/carol.pem: no private key fits it`
	for _, k := range []struct{ file, line, says string }{
		{"pbes2.pem", `: PKCS8 pbes2.pem "wrong"`, ino + "; ipsec.secrets:2: ipsec.d/private/pbes2.pem is encrypted, and the passphrase after its name is not the right one: correct it"},
		{"legacy.pem", `: RSA legacy.pem "wrong"`, ino + "; ipsec.secrets:2: ipsec.d/private/legacy.pem is encrypted, and the passphrase after its name is not the right one: correct it"},
		{"legacy.pem", `: RSA legacy.pem`, ino + "; ipsec.secrets:2: ipsec.d/private/legacy.pem is encrypted: write its passphrase after its name"},
		{"modern.p12", `: P12 modern.p12 wrong`, ino + "; ipsec.secrets:2: ipsec.d/private/modern.p12 is encrypted, and the passphrase after its name is not the right one: correct it"},
		{"legacy.pem", `# nothing`, ino + `: name its file in ipsec.secrets: ": RSA FILE" or ": ECDSA FILE"`},
	} {
		write("ipsec.d/private/"+k.file, encrypted(k.file))
		write("ipsec.secrets", "# secrets\n"+k.line+"\n")
		require.Equal(t, []string{k.says}, errorsOf(Files{IPsecConf: filepath.Join(dir, "ipsec.conf")}), "%+v", k)
	}
}

// A key that no connection needs is a warning, with its place.
func TestUnusableKeysAreWarnings(t *testing.T) {
	dir, write := keySite(t)
	write("swanctl.conf", "connections {\n home {\n  remote_addrs = 192.168.0.1\n  local {\n   auth = psk\n   id = a\n  }\n  remote {\n   auth = psk\n  }\n  children {\n   home {\n   }\n  }\n }\n}\n"+
		"secrets {\n ike-1 {\n  secret = x\n }\n private-1 {\n  file = none.pem\n }\n}\n")
	write("private/noise", "no key")
	var warnings []string
	f := Files{Swanctl: filepath.Join(dir, "swanctl.conf"), Strongswan: filepath.Join(dir, "strongswan.conf"), TNCConfig: filepath.Join(dir, "tnc_config")}
	for _, found := range f.Check(time.Now()) {
		require.NotEqual(t, Error, found.Kind, found.Text)
		if found.Kind == Warning {
			warnings = append(warnings, strings.ReplaceAll(found.Text, dir+"/", ""))
		}
	}
	require.Equal(t, []string{
		"swanctl.conf:21: load private key private/none.pem: open private/none.pem: no such file or directory",
		"load private key private/noise: it holds no private key that can be read",
	}, warnings)
}

// A certificate that only a PKCS #12 container has is found by the identity, with
// and without the % that says nothing of this end.
func TestPKCS12ByIdentity(t *testing.T) {
	dir, write := keySite(t)
	p12, err := os.ReadFile("../../../../internal/base/credential/testdata/modern.p12")
	require.NoError(t, err)
	c, err := credential.ParsePKCS12(p12, []byte("sesame"))
	require.NoError(t, err)
	name := identity.Names(c.Cert)
	require.NotEmpty(t, name)
	write("ipsec.d/private/carol.p12", string(p12))
	write("ipsec.secrets", ": P12 carol.p12 \"sesame\"\n")
	f := Files{IPsecConf: filepath.Join(dir, "ipsec.conf"), Strongswan: filepath.Join(dir, "strongswan.conf"), TNCConfig: filepath.Join(dir, "tnc_config")}
	subject := ike.Identity{IDType: message.IDDERDN, Data: c.Cert.RawSubject}.String()
	for _, id := range []string{subject, "%" + subject} {
		write("ipsec.conf", "conn home\n\tleft=192.168.0.100\n\tleftid=\""+id+"\"\n\tright=192.168.0.1\n\tauto=add\n")
		all, err := f.Show("home")
		require.NoError(t, err)
		require.Empty(t, all[0].Problems, id)
		require.Equal(t, subject, all[0].Local[0].ID)
	}
	write("ipsec.conf", "conn home\n\tleft=192.168.0.100\n\tleftid=%nobody\n\tright=192.168.0.1\n\tauto=add\n")
	all, err := f.Show("home")
	require.NoError(t, err)
	require.Len(t, all[0].Problems, 1)
	require.Contains(t, all[0].Problems[0], "holds 'nobody'")
}

// A CA that is missing, and a certificate in its place that is none of a CA, keep a
// connection from working: config check says so before the gateway does.
func TestMissingCA(t *testing.T) {
	for _, folder := range []string{"x509ca", "ipsec.d/cacerts"} {
		dir, write := keySite(t)
		write("swanctl.conf", "connections {\n home {\n  remote_addrs = 192.168.0.1\n  local {\n   auth = psk\n   id = a\n  }\n  remote {\n   id = moon\n  }\n  children {\n   home {\n   }\n  }\n }\n}\nsecrets {\n ike {\n  secret = x\n }\n}\n")
		write("ipsec.conf", "conn home\n\tleft=192.168.0.100\n\tleftauth=psk\n\tright=192.168.0.1\n\tauto=add\n")
		write("ipsec.secrets", ": PSK x\n")
		f := Files{Strongswan: filepath.Join(dir, "strongswan.conf"), TNCConfig: filepath.Join(dir, "tnc_config"), Swanctl: filepath.Join(dir, "swanctl.conf")}
		if folder != "x509ca" {
			f.Swanctl, f.IPsecConf = "", filepath.Join(dir, "ipsec.conf")
		}
		problems := func() (errs []string) {
			for _, x := range f.Check(time.Now()) {
				if x.Kind == Error {
					errs = append(errs, strings.ReplaceAll(x.Text, dir+"/", ""))
				}
			}
			return errs
		}
		require.Empty(t, problems())
		leaf, err := os.ReadFile(filepath.Join(dir, "x509/carol.pem"))
		require.NoError(t, err)
		write(folder+"/ca.pem", string(leaf))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "x509"))) // else it may be the gateway's
		require.Len(t, problems(), 1)
		require.Contains(t, problems()[0], "no CA certificate found: put the one that issued the gateway's certificate into "+folder)
		require.Contains(t, problems()[0], "is not of a CA")
		require.NoError(t, os.RemoveAll(filepath.Join(dir, folder)))
		require.Len(t, problems(), 1)
		require.Contains(t, problems()[0], "no CA certificate found")
	}
}
