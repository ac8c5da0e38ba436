package tpm20_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var keys20 = []struct {
	name string
	kt   tpm20.KeyTemplate
}{
	{"rsassa", tpm20.KeyTemplate{}},
	{"rsassa-sha384", tpm20.KeyTemplate{Hash: pcr.SHA384}},
	{"rsapss", tpm20.KeyTemplate{Scheme: tpm20.RSAPSS}},
	{"ecdsa", tpm20.KeyTemplate{Scheme: tpm20.ECDSA}},
	{"ecdsa-p384-sha512", tpm20.KeyTemplate{Scheme: tpm20.ECDSA, Bits: 384, Hash: pcr.SHA512}},
}

// A restricted key signs certificate requests that OpenSSL and crypto/x509
// accept.
func TestCertificateRequest(t *testing.T) {
	openssl := need.Program(t, "openssl", "openssl")
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	for _, k := range keys20 {
		t.Run(k.name, func(t *testing.T) {
			key, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: tpm20.ECC, Template: k.kt}, noAuth)
			require.NoError(t, err)
			der, err := p.CreateRequest(t.Context(), key.Handle, x509.CertificateRequest{Subject: pkix.Name{CommonName: "carol", Organization: []string{"gotnc"}}})
			require.NoError(t, err)
			csr, err := x509.ParseCertificateRequest(der)
			require.NoError(t, err)
			require.NoError(t, tpm20.CheckRequestSignature(csr))
			assert.Equal(t, "CN=carol,O=gotnc", csr.Subject.String())
			assert.Equal(t, key.PublicKey, csr.PublicKey)
			file := filepath.Join(t.TempDir(), "csr")
			require.NoError(t, os.WriteFile(file, der, 0o600))
			out, err := exec.Command(openssl, "req", "-inform", "DER", "-in", file, "-noout", "-verify").CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Contains(t, strings.ToLower(string(out)), "verify ok")

			csr.RawTBSCertificateRequest = bytes.Clone(csr.RawTBSCertificateRequest)
			csr.RawTBSCertificateRequest[len(csr.RawTBSCertificateRequest)-5] ^= 1
			assert.Error(t, tpm20.CheckRequestSignature(csr))
			_, err = p.Sign(t.Context(), key.Handle, make([]byte, 1025))
			assert.Error(t, err, "more than TPM2_Hash takes")
		})
	}
	_, err := p.CreateAK(t.Context(), tpm20.AKRequest{Handle: tpm20.FirstAKHandle}, noAuth)
	assert.ErrorContains(t, err, "already")
	old, err := p.Key(t.Context(), tpm20.FirstAKHandle)
	require.NoError(t, err)
	again, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: tpm20.ECC, Template: tpm20.KeyTemplate{Scheme: tpm20.ECDSA}, Handle: tpm20.FirstAKHandle, Replace: true}, noAuth)
	require.NoError(t, err)
	assert.NotEqual(t, old.Name, again.Name)
	for _, bad := range []tpm20.KeyTemplate{{Scheme: 1}, {Bits: 1024}, {Scheme: tpm20.ECDSA, Bits: 224}, {Hash: pcr.SHA1}} {
		_, err := p.CreateAK(t.Context(), tpm20.AKRequest{Template: bad}, noAuth)
		assert.Error(t, err, "%v", bad)
	}
	_, err = p.CreateAK(t.Context(), tpm20.AKRequest{Handle: 0x80000001}, noAuth)
	assert.ErrorContains(t, err, "not a persistent handle")
}
