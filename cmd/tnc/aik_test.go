package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// privacyCA writes the certificate and key of a CA.
func privacyCA(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "privacy CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	require.NoError(t, err)
	p8, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p8}), 0o600))
	return cert, key
}

// aikSite is a machine with a TPM and a privacy CA, which share a folder.
type aikSite struct {
	t                     *testing.T
	dir, conf, tcti       string
	caCert, caKey, ekCert string
}

func newAIKSite(t *testing.T, e *tpmtest.Emulator, cas string) *aikSite {
	s := &aikSite{t: t, dir: t.TempDir(), tcti: e.Config.String(), ekCert: cas}
	s.caCert, s.caKey = privacyCA(t)
	s.conf = s.write("strongswan.conf", "")
	s.write("owner", "owner\n")
	return s
}

func (s *aikSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *aikSite) write(name, content string) string {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
	return s.path(name)
}

// settings writes strongswan.conf.
func (s *aikSite) settings(lines ...string) {
	s.write("strongswan.conf", "libimcv {\n plugins {\n imc-attestation {\n"+strings.Join(lines, "\n")+"\n}\n}\n}\n")
}

// tpm runs a command that uses the TPM, ca the CA's, which needs none.
func (s *aikSite) tpm(command string, args ...string) (stdout, stderr string, code int) {
	return runTNC(s.t, append([]string{"aik", command, "--strongswan-conf", s.conf, "--tcti", s.tcti}, args...)...)
}

func (s *aikSite) ca(args ...string) (stdout, stderr string, code int) {
	return runTNC(s.t, append([]string{"aik", "issue", s.path("aik.request"), "--ca-cert", s.caCert, "--ca-key", s.caKey, "--out", s.path("aik.answer")}, args...)...)
}

func (s *aikSite) good(stdout, stderr string, code int) string {
	s.t.Helper()
	require.Zero(s.t, code, stderr)
	return stdout
}

// The way of a key from nothing to its certificate, over files, against the
// endorsement certificates of swtpm's factory.
func TestAIK20(t *testing.T) {
	e, cas := tpmtest.Manufacture(t, tpm.TPM20)
	s := newAIKSite(t, e, cas)

	_, stderr, code := s.tpm("show")
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "tnc aik create")

	var made aik.Created
	require.NoError(t, json.Unmarshal([]byte(s.good(s.tpm("create", "--out", s.dir, "--name", "carol", "--json"))), &made))
	require.Equal(t, "2.0", made.Generation)
	require.Equal(t, "0x81010003", made.Handle)
	require.Equal(t, "RSA 2048, rsassa HASH_SHA2_256", made.Key)
	require.Contains(t, made.Endorsement, `rsa, certified by "CN=swtpm-localca"`)
	require.Len(t, made.Files, 2)
	s.settings("aik_handle = " + made.Handle)

	var shown aik.Shown
	require.NoError(t, json.Unmarshal([]byte(s.good(s.tpm("show", "--json"))), &shown))
	require.Equal(t, made.KeyID, shown.KeyID)
	require.Contains(t, shown.Handles, made.Handle)
	pub, err := os.ReadFile(s.path("aik.pub"))
	require.NoError(t, err)
	require.Equal(t, string(pub), shown.PublicKey)

	// OpenSSL finds the certificate request in the file.
	openssl := need.Program(t, "openssl", "openssl")
	out, err := exec.Command(openssl, "req", "-in", s.path("aik.request"), "-noout", "-verify", "-subject").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "carol")

	stdout := s.good(s.ca("--ek-ca", s.ekCert, "--days", "30", "--cert-out", s.path("copy.crt")))
	require.Contains(t, stdout, made.KeyID)
	require.Contains(t, stdout, made.EKSHA256)
	var certified aik.Certified
	require.NoError(t, json.Unmarshal([]byte(s.good(s.ca("--ek-ca", s.ekCert, "--days", "30", "--cert-out", s.path("copy.crt"), "--replace", "--json"))), &certified))
	require.Equal(t, []string{s.path("aik.answer"), s.path("copy.crt")}, certified.Files)
	require.Equal(t, "CN=carol", certified.Certificate)
	require.NotEmpty(t, certified.DeviceSQL)
	require.NoError(t, json.Unmarshal([]byte(s.good(s.tpm("activate", s.path("aik.answer"), "--out", s.path("json.crt"), "--json"))), &certified))
	require.Equal(t, made.KeyID, certified.KeyID)
	require.Contains(t, certified.Settings, "json.crt")
	stdout = s.good(s.tpm("activate", s.path("aik.answer"), "--out", s.path("aik.crt")))
	require.Contains(t, stdout, `certificate of "CN=carol", issued by "CN=privacy CA"`)
	crt, err := os.ReadFile(s.path("aik.crt"))
	require.NoError(t, err)
	copied, err := os.ReadFile(s.path("copy.crt"))
	require.NoError(t, err)
	require.Equal(t, copied, crt)
	out, err = exec.Command(openssl, "verify", "-CAfile", s.caCert, s.path("aik.crt")).CombinedOutput()
	require.NoError(t, err, "%s", out)

	// tnc aik show and tnc measure know it.
	s.settings("aik_handle = "+made.Handle, "aik_cert = "+s.path("aik.crt"))
	require.Contains(t, s.good(s.tpm("show")), `"CN=carol", issued by "CN=privacy CA"`)
	measured, stderr, code := runTNC(t, "measure", "--strongswan-conf", s.conf, "--tcti", s.tcti, "--bios-log", "none", "--ima-log", "none", "--json")
	require.Zero(t, code, stderr)
	require.Contains(t, measured, `"aik": "certificate"`)
	_, stderr, code = runTNC(t, "measure", "--strongswan-conf", s.conf, "--tcti", s.tcti, "--bios-log", "none", "--ima-log", "none", "--html", s.path("booted.html"))
	require.Zero(t, code, stderr)
	page, err := os.ReadFile(s.path("booted.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "signed by an attestation key with certificate")

	// Nothing is overwritten unasked; a second key gets a handle of its own, and
	// the first one's answer is not for it.
	_, stderr, code = s.tpm("create", "--out", s.dir)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "exists already", "--replace")
	require.NoError(t, json.Unmarshal([]byte(s.good(s.tpm("create", "--out", s.dir, "--replace", "--scheme", "ecdsa", "--json"))), &made))
	require.Equal(t, "0x81010004", made.Handle)
	require.Equal(t, "ECC P-256, ecdsa HASH_SHA2_256", made.Key)
	_, stderr, code = s.tpm("activate", s.path("aik.answer"), "--out", s.path("other.crt"), "--handle", made.Handle)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "for another key or another TPM")
	require.NoFileExists(t, s.path("other.crt"))
	_, stderr, code = s.tpm("create", "--out", t.TempDir(), "--handle", made.Handle)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "already")
	s.good(s.tpm("create", "--out", t.TempDir(), "--handle", made.Handle, "--replace"))

	// A file of tpm2_makecredential.
	p := e.Open(t).(*tpm20.TPM)
	key, err := p.Key(t.Context(), tpm20.FirstAKHandle)
	require.NoError(t, err)
	ek, err := p.EndorsementKey(t.Context(), tpm20.RSA, tpm20.Auth{})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	c, err := tpm20.MakeCredential(tpm20.RSA, ek.PublicKey, key.Name, []byte("the secret"))
	require.NoError(t, err)
	b, err := c.AppendBinary(nil)
	require.NoError(t, err)
	s.write("credential", string(b))
	_, stderr, code = s.tpm("activate", s.path("credential"))
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, stderr, "--out")
	s.good(s.tpm("activate", s.path("credential"), "--out", s.path("secret")))
	secret, err := os.ReadFile(s.path("secret"))
	require.NoError(t, err)
	require.Equal(t, "the secret", string(secret))
}

func TestAIK12(t *testing.T) {
	e, cas := tpmtest.Manufacture(t, tpm.TPM12)
	s := newAIKSite(t, e, cas)
	_, stderr, code := s.tpm("create", "--out", s.dir)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "--take-ownership")
	_, stderr, code = s.tpm("create", "--out", s.dir, "--take-ownership")
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, stderr, "--owner-password-file")

	owner := []string{"--owner-password-file", s.path("owner")}
	stdout := s.good(s.tpm("create", append(owner, "--out", s.dir, "--name", "dave", "--take-ownership")...))
	require.Contains(t, stdout, "aik_blob = "+s.path("aik.blob"))
	require.Contains(t, stdout, "RSA 2048, rsassa HASH_SHA1")
	i, err := os.Stat(s.path("aik.blob"))
	require.NoError(t, err)
	require.EqualValues(t, 559, i.Size())
	require.EqualValues(t, 0o600, i.Mode().Perm())
	s.settings("aik_blob = " + s.path("aik.blob"))
	require.Contains(t, s.good(s.tpm("show")), "BEGIN PUBLIC KEY")

	s.good(s.ca("--ek-ca", s.ekCert))
	_, stderr, code = s.tpm("activate", s.path("aik.answer"), "--out", s.path("aik.crt"))
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "TPM_AUTHFAIL")
	stdout = s.good(s.tpm("activate", append(owner, s.path("aik.answer"), "--out", s.path("aik.crt"))...))
	require.Contains(t, stdout, `certificate of "CN=dave"`)
	s.settings("aik_blob = "+s.path("aik.blob"), "aik_cert = "+s.path("aik.crt"))
	require.Contains(t, s.good(s.tpm("show")), `"CN=dave", issued by "CN=privacy CA"`)
}

// A TPM without certificate of its endorsement key is known by that key.
func TestAIKWithoutEndorsementCertificate(t *testing.T) {
	s := newAIKSite(t, tpmtest.Swtpm(t, tpm.TPM20), "")
	var made aik.Created
	require.NoError(t, json.Unmarshal([]byte(s.good(s.tpm("create", "--ek", "ecc", "--out", s.dir, "--json"))), &made))
	require.Contains(t, made.Endorsement, "--ek-sha256 "+made.EKSHA256)
	_, stderr, code := s.ca("--ek-ca", s.caCert)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "no certificate of its endorsement key", made.EKSHA256)
	_, stderr, code = s.ca("--ek-sha256", strings.Repeat("00", 32))
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, made.EKSHA256)
	require.NoFileExists(t, s.path("aik.answer"))
	s.write("aik.answer", "of before")
	_, stderr, code = s.ca("--ek-sha256", made.EKSHA256, "--cert-out", s.path("copy.crt"))
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "aik.answer exists already")
	require.NoFileExists(t, s.path("copy.crt"), "no certificate of which the holder never hears")
	s.good(s.ca("--ek-sha256", made.EKSHA256, "--replace"))
	s.good(s.tpm("activate", s.path("aik.answer"), "--handle", made.Handle, "--out", s.path("aik.crt")))
}

// Where the files cannot be written, no key stays in the TPM that nobody knows of:
// it has room for few.
func TestAIKIsNotLeftBehind(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	s := newAIKSite(t, e, "")
	_, stderr, code := s.tpm("create", "--out", "/proc")
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "--out /proc")
	// Something comes in the way after the key was made.
	require.NoError(t, os.Mkdir(s.path("aik.request"), 0o755))
	_, stderr, code = s.tpm("create", "--out", s.dir, "--replace")
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "aik.request")
	require.NoFileExists(t, s.path("aik.pub"))
	handles, err := e.Open(t).(*tpm20.TPM).PersistentHandles(t.Context())
	require.NoError(t, err)
	require.Empty(t, handles)
}

// A key that is in use is not given up for one that cannot be certified.
func TestAIKIsNotReplacedInVain(t *testing.T) {
	e, cas := tpmtest.Manufacture(t, tpm.TPM20)
	s := newAIKSite(t, e, cas)
	require.NoError(t, e.Open(t).Close(), "started")
	// TPM2_ChangeEPS: the certificate is then of another endorsement key.
	x, err := device.OpenTransport(t.Context(), e.Config)
	require.NoError(t, err)
	reply, err := x.Exchange(t.Context(), []byte{0x80, 2, 0, 0, 0, 27, 0, 0, 1, 0x24, 0x40, 0, 0, 0x0C, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	require.Equal(t, make([]byte, 4), reply[6:10])
	require.NoError(t, x.Close())
	p := e.Open(t).(*tpm20.TPM)
	old, err := p.CreateAK(t.Context(), tpm20.AKRequest{}, tpm20.Auth{})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, stderr, code := s.tpm("create", "--out", s.dir, "--replace", "--handle", "0x81010003")
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "certificate is of another key")
	p = e.Open(t).(*tpm20.TPM)
	k, err := p.Key(t.Context(), old.Handle)
	require.NoError(t, err)
	require.Equal(t, old.PublicKey, k.PublicKey)
}

func TestAIKCommandLine(t *testing.T) {
	cert, key := privacyCA(t)
	_, otherKey := privacyCA(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	conf := filepath.Join(t.TempDir(), "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, nil, 0o600))
	ca := []string{"--ca-cert", cert, "--ca-key", key}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"aik", "create", "--scheme", "dsa"}, report.ExitUsage, "--scheme dsa"},
		{[]string{"aik", "create", "--hash", "sha1"}, report.ExitUsage, "--hash sha1"},
		{[]string{"aik", "create", "--out", "/nonexistent"}, report.ExitFailure, "no such folder"},
		{[]string{"aik", "create", "--name", strings.Repeat("x", 65)}, report.ExitUsage, "--name"},
		{[]string{"aik", "create", "now"}, report.ExitUsage, "no argument"},
		{[]string{"aik", "create", "--strongswan-conf", conf, "--owner-password-file", "/nonexistent"}, report.ExitFailure, "no such file"},
		{[]string{"aik", "create", "--strongswan-conf", conf, "--tcti", "usb"}, report.ExitFailure, "device, swtpm or mssim"},
		{[]string{"aik", "show", "--strongswan-conf", conf, "--handle", "x"}, report.ExitUsage, "not a handle"},
		{[]string{"aik", "show", "--strongswan-conf", conf, "--blob", "/nonexistent"}, report.ExitFailure, "no such file"},
		{[]string{"aik", "activate"}, report.ExitUsage, "one file"},
		{[]string{"aik", "activate", "/nonexistent"}, report.ExitFailure, "no such file"},
		{[]string{"aik", "activate", file}, report.ExitFailure, "a block is missing"},
		{[]string{"aik", "issue"}, report.ExitUsage, "one file"},
		{[]string{"aik", "issue", file}, report.ExitUsage, "--ca-cert"},
		{append([]string{"aik", "issue", file}, ca...), report.ExitUsage, "--ek-ca"},
		{append([]string{"aik", "issue", file, "--ek-sha256", "00"}, ca...), report.ExitUsage, "32 octets"},
		{append([]string{"aik", "issue", file, "--ek-ca", cert, "--days", "0"}, ca...), report.ExitUsage, "--days"},
		{append([]string{"aik", "issue", file, "--ek-ca", cert, "--days", "200000"}, ca...), report.ExitUsage, "--days"},
		{append([]string{"aik", "issue", file, "--ek-ca", "/nonexistent"}, ca...), report.ExitFailure, "no such file"},
		{append([]string{"aik", "issue", file, "--ek-ca", cert}, ca...), report.ExitFailure, "a block is missing"},
		{append([]string{"aik", "issue", "/nonexistent", "--ek-ca", cert}, ca...), report.ExitFailure, "no such file"},
		{[]string{"aik", "issue", file, "--ek-ca", cert, "--ca-cert", cert, "--ca-key", otherKey}, report.ExitFailure, "is not the key of"},
		{[]string{"aik", "burn"}, report.ExitUsage, ""},
	} {
		_, stderr, code := runTNC(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.says, "%v", c.args)
	}
}
