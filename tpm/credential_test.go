package tpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/internal/interop/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var noAuth tpm.Auth20

// A credential for each type of endorsement key, wrapped for its certificate
// where swtpm_setup issues one, and for keys of all kinds.
func TestActivateCredential(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM20, "--ecc")
	p := e.Open(t).(*tpm.V20)
	for _, c := range []struct {
		ek        tpm.KeyType
		certified bool
		ak        tpm.KeyTemplate
	}{
		{tpm.RSA, true, tpm.KeyTemplate{}},
		{tpm.ECC, false, tpm.KeyTemplate{Scheme: tpm.ECDSA}},
		{tpm.ECC384, true, tpm.KeyTemplate{Scheme: tpm.RSAPSS}},
	} {
		t.Run(c.ek.String(), func(t *testing.T) {
			ek, err := p.EndorsementKey(t.Context(), c.ek, noAuth)
			require.NoError(t, err)
			key := ek.PublicKey
			if c.certified {
				require.NotEmpty(t, ek.Certificate)
				cert, err := x509.ParseCertificate(ek.Certificate)
				require.NoError(t, err)
				key = cert.PublicKey
			}
			ak, err := p.CreateAK(t.Context(), c.ek, c.ak, 0, false, noAuth)
			require.NoError(t, err)
			public, name, err := tpm.CheckAK(ak.Area)
			require.NoError(t, err)
			assert.Equal(t, ak.PublicKey, public)
			assert.Equal(t, ak.Name, name)
			secret := []byte("sixteen octets..")
			cred, err := tpm.MakeCredential(key, name, secret)
			require.NoError(t, err)
			got, err := p.ActivateCredential(t.Context(), ak.Handle, c.ek, cred, noAuth)
			require.NoError(t, err)
			assert.Equal(t, secret, got)

			// for another AK, or altered on its way
			other, err := p.CreateAK(t.Context(), c.ek, tpm.KeyTemplate{Scheme: tpm.ECDSA}, 0, false, noAuth)
			require.NoError(t, err)
			_, err = p.ActivateCredential(t.Context(), other.Handle, c.ek, cred, noAuth)
			assert.ErrorContains(t, err, "for another key or another TPM")
			cred.IDObject[len(cred.IDObject)-1] ^= 1
			_, err = p.ActivateCredential(t.Context(), ak.Handle, c.ek, cred, noAuth)
			assert.Error(t, err)
			for _, h := range []uint32{ak.Handle, other.Handle} {
				require.NoError(t, p.RemoveKey(t.Context(), h, noAuth))
			}
		})
	}
	typ, err := p.CertifiedKeyType(t.Context())
	require.NoError(t, err)
	assert.Equal(t, tpm.RSA, typ)
}

// A restricted key signs certificate requests that OpenSSL and crypto/x509
// accept.
func TestCertificateRequest(t *testing.T) {
	openssl := need.Program(t, "openssl", "openssl")
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm.V20)
	for _, k := range keys20 {
		t.Run(k.name, func(t *testing.T) {
			key, err := p.CreateAK(t.Context(), tpm.ECC, k.kt, 0, false, noAuth)
			require.NoError(t, err)
			der, err := p.CreateRequest(t.Context(), key.Handle, x509.CertificateRequest{Subject: pkix.Name{CommonName: "carol", Organization: []string{"gotnc"}}})
			require.NoError(t, err)
			csr, err := x509.ParseCertificateRequest(der)
			require.NoError(t, err)
			require.NoError(t, tpm.CheckRequestSignature(csr))
			assert.Equal(t, "CN=carol,O=gotnc", csr.Subject.String())
			assert.Equal(t, key.PublicKey, csr.PublicKey)
			file := filepath.Join(t.TempDir(), "csr")
			require.NoError(t, os.WriteFile(file, der, 0o600))
			out, err := exec.Command(openssl, "req", "-inform", "DER", "-in", file, "-noout", "-verify").CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Contains(t, strings.ToLower(string(out)), "verify ok")

			csr.RawTBSCertificateRequest = bytes.Clone(csr.RawTBSCertificateRequest)
			csr.RawTBSCertificateRequest[len(csr.RawTBSCertificateRequest)-5] ^= 1
			assert.Error(t, tpm.CheckRequestSignature(csr))
			_, err = p.Sign(t.Context(), key.Handle, make([]byte, 1025))
			assert.Error(t, err, "more than TPM2_Hash takes")
		})
	}
	_, err := p.CreateAK(t.Context(), tpm.RSA, tpm.KeyTemplate{}, tpm.FirstAKHandle, false, noAuth)
	assert.ErrorContains(t, err, "already")
	old, err := p.Key(t.Context(), tpm.FirstAKHandle)
	require.NoError(t, err)
	again, err := p.CreateAK(t.Context(), tpm.ECC, tpm.KeyTemplate{Scheme: tpm.ECDSA}, tpm.FirstAKHandle, true, noAuth)
	require.NoError(t, err)
	assert.NotEqual(t, old.Name, again.Name)
	for _, bad := range []tpm.KeyTemplate{{Scheme: 1}, {Bits: 1024}, {Scheme: tpm.ECDSA, Bits: 224}, {Hash: pcr.SHA1}} {
		_, err := p.CreateAK(t.Context(), tpm.RSA, bad, 0, false, noAuth)
		assert.Error(t, err, "%v", bad)
	}
	_, err = p.CreateAK(t.Context(), tpm.RSA, tpm.KeyTemplate{}, 0x80000001, false, noAuth)
	assert.ErrorContains(t, err, "not a persistent handle")
}

// tpm2-tools make a credential that we activate, and activate one of ours.
func TestCredentialsOfTPM2Tools(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM20)
	make2 := need.Program(t, "tpm2_makecredential", "tpm2-tools")
	need.Program(t, "tpm2_activatecredential", "tpm2-tools")
	p := e.Open(t).(*tpm.V20)
	ak, err := p.CreateAK(t.Context(), tpm.RSA, tpm.KeyTemplate{}, 0, false, noAuth)
	require.NoError(t, err)
	ek, err := p.EndorsementKey(t.Context(), tpm.RSA, noAuth)
	require.NoError(t, err)
	require.NotEmpty(t, ek.Certificate, "swtpm_setup's")
	require.NoError(t, p.Close())

	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:"+e.Settings.Opts)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %v: %s", program, args, out)
		return string(out)
	}
	secret := []byte("a secret of the privacy CA")
	require.NoError(t, os.WriteFile(at("secret"), secret, 0o600))
	require.NoError(t, os.WriteFile(at("ek.pub"), append(wire.AppendU16(nil, uint16(len(ek.Area))), ek.Area...), 0o600))
	run(make2, "-T", "none", "-e", at("ek.pub"), "-s", at("secret"), "-n", fmt.Sprintf("%x", ak.Name), "-o", at("theirs"))
	b, err := os.ReadFile(at("theirs"))
	require.NoError(t, err)
	cred, err := tpm.ParseCredential(wire.NewReader("credential", b))
	require.NoError(t, err)
	p = e.Open(t).(*tpm.V20)
	got, err := p.ActivateCredential(t.Context(), ak.Handle, tpm.RSA, cred, noAuth)
	require.NoError(t, err)
	assert.Equal(t, secret, got)
	require.NoError(t, p.Close())

	cred, err = tpm.MakeCredential(ek.PublicKey, ak.Name, secret)
	require.NoError(t, err)
	b, err = cred.AppendBinary(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(at("ours"), b, 0o600))
	run("tpm2_startauthsession", "--policy-session", "-S", at("session"))
	run("tpm2_policysecret", "-S", at("session"), "-c", "e")
	run("tpm2_activatecredential", "-c", "0x81010003", "-C", "0x81010001", "-i", at("ours"), "-o", at("opened"), "-P", "session:"+at("session"))
	b, err = os.ReadFile(at("opened"))
	require.NoError(t, err)
	assert.Equal(t, secret, b)
}

// The same of a TPM 1.2: MakeIdentity, and ActivateIdentity against the
// endorsement key of swtpm_setup's certificate.
func TestActivateIdentity(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM12)
	p := e.Open(t).(*tpm.V12)
	ek, err := p.EndorsementKey(t.Context(), tpmtest.Owner12)
	require.NoError(t, err, "without owner everybody may read it")
	require.NotEmpty(t, ek.Certificate)
	require.NoError(t, p.TakeOwnership(t.Context(), tpmtest.Owner12))
	owned, err := p.EndorsementKey(t.Context(), tpmtest.Owner12)
	require.NoError(t, err, "then the owner")
	assert.Equal(t, ek, owned)
	_, err = p.EndorsementKey(t.Context(), tpm.Secret12([]byte("somebody")))
	assert.ErrorContains(t, err, "TPM_AUTHFAIL")

	id, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm.IdentityTemplate{Label: tpm.LabelDigest("carol", nil)})
	require.NoError(t, err)
	other, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm.IdentityTemplate{})
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(ek.Certificate)
	require.NoError(t, err)
	public, ok := ek.PublicKey.(*rsa.PublicKey)
	require.True(t, ok)
	if k, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		require.True(t, k.Equal(public))
	}
	key := []byte("a key of AES-128")
	cred, err := tpm.MakeCredential12(public, id.Pubkey, key)
	require.NoError(t, err)
	got, err := p.ActivateIdentity(t.Context(), id.Blob, cred, tpmtest.Owner12)
	require.NoError(t, err)
	assert.Equal(t, key, got)
	_, err = p.ActivateIdentity(t.Context(), other.Blob, cred, tpmtest.Owner12)
	assert.Error(t, err, "another identity")
	_, err = p.ActivateIdentity(t.Context(), id.Blob, cred, tpm.Secret12(nil))
	assert.Error(t, err, "another owner")
	_, err = tpm.MakeCredential12(public, id.Pubkey, []byte("short"))
	assert.Error(t, err)

	bad := *id
	bad.Label[0] ^= 1
	_, err = tpm.CheckIdentity12(bad)
	assert.Error(t, err, "the binding covers the label")
}

// A public area that is no attestation key's is refused.
func TestCheckAK(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm.V20)
	ek, err := p.EndorsementKey(t.Context(), tpm.ECC, noAuth)
	require.NoError(t, err)
	assert.IsType(t, &ecdsa.PublicKey{}, ek.PublicKey)
	assert.Nil(t, ek.Certificate)
	_, _, err = tpm.CheckAK(ek.Area)
	assert.ErrorContains(t, err, "not a restricted signing key")
	ak, err := p.CreateAK(t.Context(), tpm.ECC, tpm.KeyTemplate{Scheme: tpm.ECDSA}, 0, false, noAuth)
	require.NoError(t, err)
	for n := range ak.Area {
		_, _, err := tpm.CheckAK(ak.Area[:n])
		assert.Error(t, err, n)
	}
	_, _, err = tpm.CheckAK(append(bytes.Clone(ak.Area), 0))
	assert.Error(t, err)
}
