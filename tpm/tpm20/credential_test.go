package tpm20_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var noAuth tpm20.Auth

// A credential for each type of endorsement key, wrapped for its certificate
// where swtpm_setup issues one, and for keys of all kinds.
func TestActivateCredential(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM20, "--ecc")
	p := e.Open(t).(*tpm20.TPM)
	for _, c := range []struct {
		ek        tpm20.KeyType
		certified bool
		ak        tpm20.KeyTemplate
	}{
		{tpm20.RSA, true, tpm20.KeyTemplate{}},
		{tpm20.ECC, false, tpm20.KeyTemplate{Scheme: tpm20.ECDSA}},
		{tpm20.ECC384, true, tpm20.KeyTemplate{Scheme: tpm20.RSAPSS}},
		{tpm20.RSAH1, false, tpm20.KeyTemplate{}},
		{tpm20.ECCH2, false, tpm20.KeyTemplate{}},
		{tpm20.ECC521, false, tpm20.KeyTemplate{Scheme: tpm20.ECDSA, Bits: 521, Hash: pcr.SHA512}},
		{tpm20.RSA3072, false, tpm20.KeyTemplate{}},
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
			ak, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: c.ek, Template: c.ak}, noAuth)
			require.NoError(t, err)
			public, name, err := tpm20.CheckAK(ak.Area)
			require.NoError(t, err)
			assert.Equal(t, ak.PublicKey, public)
			assert.Equal(t, ak.Name, name)
			secret := []byte("sixteen octets..")
			cred, err := tpm20.MakeCredential(c.ek, key, name, secret)
			require.NoError(t, err)
			got, err := p.ActivateCredential(t.Context(), ak.Handle, c.ek, cred, noAuth)
			require.NoError(t, err)
			assert.Equal(t, secret, got)

			// for another AK, or altered on its way
			other, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: c.ek, Template: tpm20.KeyTemplate{Scheme: tpm20.ECDSA}}, noAuth)
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
	assert.Equal(t, tpm20.RSA, typ)
}

// A credential of tpm2-tools is activated here, and tpm2-tools activate one made here.
func TestCredentialsOfTPM2Tools(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM20)
	make2 := need.Program(t, "tpm2_makecredential", "tpm2-tools")
	need.Program(t, "tpm2_activatecredential", "tpm2-tools")
	p := e.Open(t).(*tpm20.TPM)
	ak, err := p.CreateAK(t.Context(), tpm20.AKRequest{}, noAuth)
	require.NoError(t, err)
	ek, err := p.EndorsementKey(t.Context(), tpm20.RSA, noAuth)
	require.NoError(t, err)
	require.NotEmpty(t, ek.Certificate, "swtpm_setup's")
	require.NoError(t, p.Close())

	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:"+e.Config.Opts)
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
	cred, err := tpm20.ParseCredential(b)
	require.NoError(t, err)
	p = e.Open(t).(*tpm20.TPM)
	got, err := p.ActivateCredential(t.Context(), ak.Handle, tpm20.RSA, cred, noAuth)
	require.NoError(t, err)
	assert.Equal(t, secret, got)
	require.NoError(t, p.Close())

	cred, err = tpm20.MakeCredential(tpm20.RSA, ek.PublicKey, ak.Name, secret)
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

// A public area that is no attestation key's is refused.
func TestCheckAK(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ek, err := p.EndorsementKey(t.Context(), tpm20.ECC, noAuth)
	require.NoError(t, err)
	assert.IsType(t, &ecdsa.PublicKey{}, ek.PublicKey)
	assert.Nil(t, ek.Certificate)
	_, _, err = tpm20.CheckAK(ek.Area)
	assert.ErrorContains(t, err, "not a restricted signing key")
	ak, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: tpm20.ECC, Template: tpm20.KeyTemplate{Scheme: tpm20.ECDSA}}, noAuth)
	require.NoError(t, err)
	for n := range ak.Area {
		_, _, err := tpm20.CheckAK(ak.Area[:n])
		assert.Error(t, err, n)
	}
	_, _, err = tpm20.CheckAK(append(bytes.Clone(ak.Area), 0))
	assert.Error(t, err)
}
func TestCredentialFile(t *testing.T) {
	c := tpm20.Credential{IDObject: []byte{1, 2, 3}, Secret: []byte{4, 5}}
	b, err := c.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, unhex(t, "badcc0de 00000001 0003 010203 0002 0405"), b)
	again, err := tpm20.ParseCredential(b)
	require.NoError(t, err)
	assert.Equal(t, c, again)
	for n := range b {
		_, err := tpm20.ParseCredential(b[:n])
		assert.Error(t, err, n)
	}
}

func FuzzCredential(f *testing.F) {
	f.Add(unhex(f, "badcc0de 00000001 0003 010203 0002 0405"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := tpm20.ParseCredential(b)
		if err != nil {
			return
		}
		out, err := c.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
	})
}

// transcript reads a transcript of package tpm's tests.
func transcript(t testing.TB, name string) *tpmtest.Transcript {
	t.Helper()
	tr, err := tpmtest.ReadTranscript(filepath.Join("..", "testdata", name+".txt"))
	require.NoError(t, err)
	return tr
}

func FuzzCheckAK(f *testing.F) {
	for _, name := range []string{"tpm20-rsassa-sha256", "tpm20-ecdsa-sha256", "tpm20-rsapss-sha256"} {
		for _, e := range transcript(f, name).Exchanges {
			if binary.BigEndian.Uint32(e[0][6:]) == 0x173 { // TPM2_ReadPublic
				f.Add(e[1][12 : 12+binary.BigEndian.Uint16(e[1][10:])])
			}
		}
	}
	f.Fuzz(func(t *testing.T, area []byte) {
		key, name, err := tpm20.CheckAK(area)
		if err == nil && (key == nil || len(name) < 2) {
			t.Fatal("a key without a name")
		}
	})
}
