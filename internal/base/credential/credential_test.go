package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/testpki"
)

// The files of testdata were made with openssl; the passphrase is "sesame".
var sesame = []byte("sesame")

func TestKeysOfEveryForm(t *testing.T) {
	plain, err := LoadKey("testdata/ec.pem", "", nil)
	require.NoError(t, err)
	require.IsType(t, &ecdsa.PrivateKey{}, plain)
	for _, file := range []string{"pkcs8.pem", "pkcs8.der", "sec1.der"} {
		k, err := LoadKey("testdata/"+file, "ecdsa", sesame)
		require.NoError(t, err, file)
		require.True(t, SamePublic(plain.Public(), k.Public()), file)
	}
	for _, file := range []string{"pbes2.pem", "pbes2.der", "pbes2-des3.pem", "scrypt.pem", "legacy.pem"} {
		k, err := LoadKey("testdata/"+file, "", sesame)
		require.NoError(t, err, file)
		require.True(t, SamePublic(plain.Public(), k.Public()), file)
		for _, wrong := range [][]byte{nil, []byte("xyzzy")} {
			_, err = LoadKey("testdata/"+file, "", wrong)
			require.ErrorIs(t, err, ErrPassphrase, file)
			require.NotContains(t, err.Error(), "xyzzy", "no passphrase in errors")
		}
	}
	ed, err := LoadKey("testdata/ed25519.pem", "", nil)
	require.NoError(t, err)
	require.IsType(t, ed25519.PrivateKey{}, ed)
	r, err := LoadKey("testdata/rsa.pem", "rsa", nil)
	require.NoError(t, err)
	require.IsType(t, &rsa.PrivateKey{}, r)
	_, err = LoadKey("testdata/rsa.pem", "ecdsa", nil)
	require.ErrorContains(t, err, "another kind than ecdsa")
	_, err = LoadKey("testdata/cert.pem", "", nil)
	require.ErrorContains(t, err, "no private key")
	_, err = LoadKey("testdata/none", "", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	big := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(big, make([]byte, MaxFile+1), 0o600))
	_, err = LoadKey(big, "", nil)
	require.ErrorContains(t, err, "larger")
}

func TestPKCS12(t *testing.T) {
	plain, err := LoadKey("testdata/ec.pem", "", nil)
	require.NoError(t, err)
	for file, passphrase := range map[string][]byte{"modern.p12": sesame, "legacy.p12": sesame, "empty.p12": nil} {
		c, err := LoadPKCS12("testdata/"+file, passphrase)
		require.NoError(t, err, file)
		require.True(t, SamePublic(plain.Public(), c.Key.Public()))
		require.Equal(t, "carol", c.Cert.Subject.CommonName)
		require.True(t, Fits(c.Cert, c.Key))
		_, err = LoadPKCS12("testdata/"+file, []byte("wrong"))
		require.ErrorIs(t, err, ErrPassphrase, file)
	}
	_, err = LoadPKCS12("testdata/ec.pem", sesame)
	require.Error(t, err)
}

func TestPublicKeys(t *testing.T) {
	k, err := LoadPublicKey("testdata/pub.pem")
	require.NoError(t, err)
	require.IsType(t, &ecdsa.PublicKey{}, k)
	k, err = LoadPublicKey("testdata/rsapub.pem")
	require.NoError(t, err)
	require.IsType(t, &rsa.PublicKey{}, k)
	_, err = LoadPublicKey("testdata/cert.pem")
	require.Error(t, err)
}

func FuzzParseKey(f *testing.F) {
	for _, file := range []string{"ec.pem", "pbes2.der", "legacy.pem", "pkcs8.der"} {
		b, err := os.ReadFile("testdata/" + file)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if encryptedPKCS8(b) || strings.Contains(string(b), "ENCRYPTED") {
			return // its author says how many iterations; these files are trusted
		}
		if k, err := ParseKey(b, "", sesame); err == nil && k.Public() == nil {
			t.Fatal("a key without a public half")
		}
	})
}

// A store finds keys in every folder and of every section of secrets.
func TestStore(t *testing.T) {
	d := t.TempDir()
	root, err := testpki.NewCA("Root", testpki.ECDSA)
	require.NoError(t, err)
	sub, err := root.SubCA("Sub", testpki.ECDSA, nil)
	require.NoError(t, err)
	own, err := sub.Issue("carol.example.org", testpki.ECDSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(own, filepath.Join(d, "x509/own.pem"), filepath.Join(d, "ecdsa/own.pem")))
	stray, err := root.Issue("dave.example.org", testpki.ECDSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(stray, filepath.Join(d, "x509/stray.pem"), filepath.Join(d, "elsewhere/stray.pem")))
	for _, dir := range []string{"private", "pkcs12", "pubkey"} {
		require.NoError(t, os.MkdirAll(filepath.Join(d, dir), 0o755))
	}
	copyTo := func(from, to string) {
		b, err := os.ReadFile("testdata/" + from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(d, to), b, 0o600))
	}
	copyTo("ed25519.pem", "private/noise.pem")
	copyTo("rsa.pem", "private/named.pem")
	copyTo("modern.p12", "pkcs12/carol.p12")
	copyTo("pub.pem", "pubkey/carol.pem")
	c, err := config.Parse("swanctl.conf", fmt.Sprintf("secrets {\n pkcs12-1 {\n file = carol.p12\n secret = sesame\n }\n rsa-2 {\n file = %s/private/named.pem\n }\n ecdsa-3 {\n file = missing.pem\n }\n}\n", d))
	require.NoError(t, err)
	s := Open(swanctl.FromConfig(c, filepath.Join(d, "swanctl.conf")), []*x509.Certificate{root.Cert, sub.Cert}, nil)
	require.Len(t, s.Problems, 1)
	require.ErrorContains(t, s.Problems[0], "missing.pem")

	o, err := s.Of(filepath.Join(d, "x509/own.pem"))
	require.NoError(t, err)
	require.True(t, Fits(o.Cert, o.Key))
	require.Equal(t, []*x509.Certificate{sub.Cert}, o.Chain, "without the root")
	_, err = s.Of(filepath.Join(d, "x509/stray.pem"))
	require.ErrorContains(t, err, "no private key fits it")
	require.ErrorContains(t, err, "missing.pem", "what could not be read is named")
	raw, err := s.OfKey(filepath.Join(d, "pubkey/carol.pem"))
	require.NoError(t, err)
	require.Nil(t, raw.Cert)
	require.IsType(t, &ecdsa.PrivateKey{}, raw.Key)
	var names []string
	for _, o := range s.All() {
		names = append(names, o.Cert.Subject.CommonName)
	}
	require.ElementsMatch(t, []string{"carol", "carol.example.org"}, names)
	require.Len(t, s.Certificates(), 3)
	var _ crypto.Signer = o.Key
}

// FuzzParsePKCS12: a container of a stranger crashes nothing, and a key that comes
// out of one can sign.
func FuzzParsePKCS12(f *testing.F) {
	files, err := filepath.Glob("testdata/*.p12")
	require.NoError(f, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b, "secret")
	}
	f.Add([]byte{0x30, 0x80, 2, 1, 3, 0, 0}, "")
	f.Fuzz(func(t *testing.T, b []byte, passphrase string) {
		if c, err := ParsePKCS12(b, []byte(passphrase)); err == nil && (c.Key == nil || c.Cert == nil) {
			t.Fatal("a container without key or certificate")
		}
	})
}

func TestFilesOfTPMKeys(t *testing.T) {
	for _, begin := range []string{"TSS2 PRIVATE KEY", "TSS KEY BLOB"} {
		require.True(t, IsTPMFile([]byte("# of this machine\n-----BEGIN "+begin+"-----\n")), begin)
	}
	require.False(t, IsTPMFile([]byte("-----BEGIN PRIVATE KEY-----\n")))
}
