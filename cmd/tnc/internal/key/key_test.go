package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// site is a machine with a TPM and a privacy CA in one folder.
type site struct {
	t   *testing.T
	e   *tpmtest.Emulator
	dir string
}

func newSite(t *testing.T) *site {
	s := &site{t: t, e: tpmtest.Swtpm(t, tpm.TPM20), dir: t.TempDir()}
	s.write("strongswan.conf", "")
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "privacy CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	require.NoError(t, err)
	p8, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write("ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p8})))
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

func (s *site) run(cmd *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(s.t.Context())
	return out.String(), err
}

// tpm are the flags of commands that use the TPM.
func (s *site) tpm(args ...string) []string {
	return append(args, "--strongswan-conf", s.path("strongswan.conf"), "--tcti", s.e.Config.String())
}

func (s *site) key(args ...string) (string, error) { return s.run(Command(), s.tpm(args...)...) }
func (s *site) aik(args ...string) (string, error) { return s.run(aik.Command(), s.tpm(args...)...) }

func (s *site) issue(request string, args ...string) (string, error) {
	return s.run(aik.Command(), append([]string{"issue", s.path(request), "--ca-cert", s.path("ca.pem"), "--ca-key", s.path("ca.key"), "--replace"}, args...)...)
}

func (s *site) good(out string, err error) string {
	s.t.Helper()
	require.NoError(s.t, err)
	return out
}

// attested makes an attestation key with a certificate, named in strongswan.conf.
func (s *site) attested() {
	s.t.Helper()
	var made aik.Created
	require.NoError(s.t, json.Unmarshal([]byte(s.good(s.aik("create", "--ek", "ecc", "--scheme", "ecdsa", "--name", "carol", "--out", s.dir, "--json"))), &made))
	s.good(s.issue("aik.request", "--ek-sha256", made.EKSHA256, "--out", s.path("aik.answer")))
	s.good(s.aik("activate", s.path("aik.answer"), "--handle", made.Handle, "--out", s.path("aik.crt")))
	s.write("strongswan.conf", "libimcv {\n plugins {\n imc-attestation {\n aik_handle = "+made.Handle+"\n aik_cert = "+s.path("aik.crt")+"\n}\n}\n}\n")
}

// Keys of each type, with a password and bound to PCRs, are made, shown, requested
// and certified by way of the attestation key; OpenSSL checks what comes out.
func TestKeyFromNothingToItsCertificate(t *testing.T) {
	s := newSite(t)
	openssl := need.Program(t, "openssl", "openssl")
	s.write("password", "secret word\n")
	_, err := s.key("create", "--out", s.path("key.pem"))
	require.NoError(t, err)
	_, err = s.key("certify", s.path("key.pem"), "--name", "carol")
	require.ErrorContains(t, err, "tnc aik create", "there is no attestation key")
	s.attested()
	for name, flags := range map[string][]string{
		"rsa":      {"--type", "rsa"},
		"rsa 3072": {"--type", "rsa", "--bits", "3072"},
		"p384":     {"--type", "ecc", "--bits", "384"},
		"p521":     {"--type", "ecc", "--bits", "521"},
		"password": {"--type", "ecc", "--password-file", s.path("password")},
		"pcrs":     {"--type", "ecc", "--pcrs", "sha256:0,7"},
		"handle":   {"--type", "ecc", "--persist", "0x81010010"},
	} {
		t.Run(name, func(t *testing.T) {
			var shown Shown
			require.NoError(t, json.Unmarshal([]byte(s.good(s.key(append(flags, "create", "--out", s.path("key.pem"), "--replace", "--json")...))), &shown))
			require.True(t, shown.FixedTPM)
			require.Equal(t, name == "password", shown.Password)
			require.Equal(t, name == "pcrs", shown.Policy)
			key := s.path("key.pem")
			if name == "handle" {
				key = shown.Handle
				require.Equal(t, "0x81010010", key)
				require.Contains(t, s.good(s.key("show", key)), "handle = 81010010")
			}
			var secret []string
			if name == "password" {
				secret = []string{"--password-file", s.path("password")}
			}
			require.Contains(t, s.good(s.key(append(secret, "show", key)...)), shown.PublicKey)
			s.good(s.key(append(secret, "csr", key, "--name", "carol", "--san", "carol@strongswan.org", "--out", s.path("key.csr"), "--replace")...))
			out, err := exec.Command(openssl, "req", "-in", s.path("key.csr"), "-noout", "-verify", "-text").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "email:carol@strongswan.org")

			s.good(s.key(append(secret, "certify", key, "--name", "carol", "--san", "carol@strongswan.org", "--san", "carol.example.org", "--san", "192.0.2.1", "--san", "spiffe://x/y",
				"--out", s.path("key.request"), "--replace")...))
			issued := s.good(s.issue("key.request", "--out", s.path("key.crt")))
			require.Contains(t, issued, "carol.example.org carol@strongswan.org 192.0.2.1 spiffe://x/y")
			out, err = exec.Command(openssl, "verify", "-CAfile", s.path("ca.pem"), "-purpose", "sslclient", s.path("key.crt")).CombinedOutput()
			require.NoError(t, err, "%s", out)
			public, err := exec.Command(openssl, "x509", "-in", s.path("key.crt"), "-noout", "-pubkey").Output()
			require.NoError(t, err)
			require.Equal(t, shown.PublicKey, string(public))
		})
	}
	_, err = s.key("create", "--out", s.path("key.pem"))
	require.ErrorContains(t, err, "exists already")
	_, err = s.key("create", "--out", s.path("new.pem"), "--persist", "0x81010010")
	require.ErrorIs(t, err, tpm20.ErrHandleTaken)
	require.NoFileExists(t, s.path("new.pem"))
	_, err = s.key("show", "0x81010003")
	require.ErrorIs(t, err, tpm20.ErrRestricted)
	for says, args := range map[string][]string{
		"--type":         {"create", "--type", "dsa"},
		"--pcrs":         {"create", "--pcrs", "sha256:24"},
		"--pcrs md5:0":   {"create", "--pcrs", "md5:0"},
		"not both":       {"create", "--pcrs", "sha256:0", "--password-file", s.path("password")},
		"--persist":      {"create", "--persist", "x"},
		"--parent":       {"create", "--parent", "x"},
		"no such file":   {"show", s.path("none")},
		"KEY":            {"show", "0xzz"},
		"--name":         {"csr", s.path("key.pem")},
		"one file":       {"csr"},
		"521":            {"create", "--type", "ecc", "--bits", "100"},
		"TSS2":           {"show", s.path("ca.key")},
		"no such file: ": {"certify", s.path("key.pem"), "--name", "x", "--aik-cert", s.path("none")},
	} {
		if args[0] == "create" {
			args = append(args, "--replace")
		}
		_, err := s.key(args...)
		require.Error(t, err, says)
		if says != "no such file: " {
			require.ErrorContains(t, err, says)
		}
	}
}

// A request that was put together of parts of others is refused, and says why.
func TestIssueRefusesForgedKeyRequests(t *testing.T) {
	s := newSite(t)
	s.attested()
	request := func(key string) *privacyca.KeyRequest {
		s.good(s.key("create", "--type", "ecc", "--out", s.path(key), "--replace"))
		s.good(s.key("certify", s.path(key), "--name", "carol", "--out", s.path("key.request"), "--replace"))
		b, err := os.ReadFile(s.path("key.request"))
		require.NoError(t, err)
		r, err := privacyca.ParseKeyRequest(b)
		require.NoError(t, err)
		require.Equal(t, b, r.Encode())
		return r
	}
	other := request("other.pem")
	// Requests by a key in software, and by a CA that is none of ours.
	soft, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "carol"}}, soft)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "carol"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	foreign, err := x509.CreateCertificate(rand.Reader, c, c, soft.Public(), soft)
	require.NoError(t, err)
	caPEM, err := os.ReadFile(s.path("ca.pem"))
	require.NoError(t, err)
	ca, _ := pem.Decode(caPEM)
	for says, alter := range map[string]func(*privacyca.KeyRequest){
		"of another request":        func(r *privacyca.KeyRequest) { r.CSR = csr },
		"of another key":            func(r *privacyca.KeyRequest) { r.Area = other.Area },
		"certification: it is of a": func(r *privacyca.KeyRequest) { r.Certification = other.Certification },
		"the signature is wrong":    func(r *privacyca.KeyRequest) { r.Certification.Signature = other.Certification.Signature },
		"not issued by":             func(r *privacyca.KeyRequest) { r.AIKCertificate = foreign },
		"is not one of an attestat": func(r *privacyca.KeyRequest) { r.AIKCertificate = ca.Bytes },
		"attestation key's certifi": func(r *privacyca.KeyRequest) { r.AIKCertificate = []byte("x") },
		"key's public area":         func(r *privacyca.KeyRequest) { r.Area = r.Area[:20] },
	} {
		r := request("key.pem")
		alter(r)
		s.write("key.request", string(r.Encode()))
		_, err := s.issue("key.request", "--out", s.path("key.crt"))
		require.ErrorContains(t, err, says)
		require.NoFileExists(t, s.path("key.crt"))
	}
	// An attestation key's certificate that has ended.
	r := request("key.pem")
	block, _ := pem.Decode(caPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, _, err = (&privacyca.Issuer{Certificate: cert}).IssueKey(time.Now().AddDate(1, 1, 0), r)
	require.ErrorContains(t, err, "it is valid from")
	for _, text := range []string{"-----BEGIN TPMS_ATTEST-----\nAAAA\n-----END TPMS_ATTEST-----\n", string(r.Encode()) + string(r.Encode())} {
		s.write("key.request", text)
		_, err := s.issue("key.request", "--out", s.path("key.crt"))
		require.ErrorContains(t, err, "read request")
	}
}
