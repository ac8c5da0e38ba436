package aik

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes a CA below another one; nil for a root.
func newAuthority(t testing.TB, above *authority, name string, curve elliptic.Curve, edit func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	if edit != nil {
		edit(c)
	}
	a := &authority{cert: c, key: key}
	if above == nil {
		above = a
	}
	a.cert = above.sign(t, c, key.Public())
	return a
}

func (a *authority) sign(t testing.TB, c *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key, a.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// endorse certifies an endorsement key as manufacturers do: no subject, a critical
// subjectAltName with a directoryName.
func (a *authority) endorse(t testing.TB, ek crypto.PublicKey, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	name, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 1}, Value: "id:414D4400"}}})
	require.NoError(t, err)
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}})
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(30, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment, UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}}, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: san}},
	}
	if edit != nil {
		edit(c)
	}
	return a.sign(t, c, ek)
}

// site is a machine with a TPM and a privacy CA in one folder.
type site struct {
	t    *testing.T
	e    *tpmtest.Emulator
	dir  string
	conf string
	ca   *authority
}

func newSite(t *testing.T, e *tpmtest.Emulator) *site {
	s := &site{t: t, e: e, dir: t.TempDir(), ca: newAuthority(t, nil, "privacy CA", elliptic.P256(), nil)}
	s.conf = s.write("strongswan.conf", "")
	s.write("ca.pem", s.ca.pem())
	p8, err := x509.MarshalPKCS8PrivateKey(s.ca.key)
	require.NoError(t, err)
	s.write("ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p8})))
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, content string) string {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
	return s.path(name)
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	require.NoError(s.t, err)
	return string(b)
}

// run runs a command of tnc aik.
func (s *site) run(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := Command()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(s.t.Context())
	return out.String(), err
}

// tpm runs a command that uses the TPM.
func (s *site) tpm(args ...string) (string, error) {
	return s.run(append(args, "--strongswan-conf", s.conf, "--tcti", s.e.Config.String())...)
}

// issue runs the privacy CA.
func (s *site) issue(args ...string) (string, error) {
	return s.run(append([]string{"issue", s.path("aik.request"), "--ca-cert", s.path("ca.pem"), "--ca-key", s.path("ca.key"), "--out", s.path("aik.answer"), "--replace"}, args...)...)
}

// open uses the TPM until done.
func (s *site) open(use func(p *tpm20.TPM)) {
	s.t.Helper()
	p := s.e.Open(s.t).(*tpm20.TPM)
	use(p)
	require.NoError(s.t, p.Close())
}

// endorsement returns the endorsement key of a type.
func (s *site) endorsement(typ tpm20.KeyType) (e *tpm20.Endorsement) {
	s.t.Helper()
	s.open(func(p *tpm20.TPM) {
		var err error
		e, err = p.EndorsementKey(s.t.Context(), typ, tpm20.Auth{})
		require.NoError(s.t, err)
	})
	return e
}

// tool runs a program of tpm2-tools.
func (s *site) tool(program string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(need.Program(s.t, program, "tpm2-tools"), args...)
	cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:"+s.e.Config.Opts)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s %v: %s", program, args, out)
}

// nv writes an NV index as a manufacturer does.
func (s *site) nv(index string, content []byte) {
	s.t.Helper()
	file := s.write("nv"+hex.EncodeToString([]byte(index)), string(content))
	s.open(func(*tpm20.TPM) {}) // started
	s.tool("tpm2_nvdefine", index, "-C", "o", "-s", big.NewInt(int64(len(content))).String(), "-a", "ownerread|ownerwrite|authread|no_da")
	s.tool("tpm2_nvwrite", index, "-C", "o", "-i", file)
}

func newTPM(t *testing.T) *tpmtest.Emulator { return tpmtest.Swtpm(t, tpm.TPM20) }
