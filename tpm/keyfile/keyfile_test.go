package keyfile_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// A file of tpm2-tools is read, and what is written of it is read as the same.
func TestParse(t *testing.T) {
	b := read(t, "ecc.tss2.pem") // tpm2_create, tpm2_encodeobject 5.4
	k, err := keyfile.Parse(b)
	require.NoError(t, err)
	require.EqualValues(t, 0x40000001, k.Parent)
	require.False(t, k.EmptyAuth, "what tpm2-tools 5.4 says of a key without a password")
	b2, err := keyfile.Marshal(k)
	require.NoError(t, err)
	again, err := keyfile.Parse(b2)
	require.NoError(t, err)
	require.Equal(t, k, again)
	behind := append([]byte("-----BEGIN X-----\nAAAA\n-----END X-----\n"), b...)
	same, err := keyfile.Parse(behind)
	require.NoError(t, err)
	require.Equal(t, k, same, "behind another block")
}

func TestParseRefuses(t *testing.T) {
	b := read(t, "ecc.tss2.pem")
	block, _ := pem.Decode(b)
	for n := range block.Bytes {
		cut := pem.EncodeToMemory(&pem.Block{Type: keyfile.PEMType, Bytes: block.Bytes[:n]})
		_, err := keyfile.Parse(cut)
		var d *gotnc.DecodeError
		require.ErrorAs(t, err, &d, "%d octets", n)
	}
	for what, b := range map[string][]byte{
		"no PEM block": []byte("nothing"),
		"more than":    make([]byte, keyfile.MaxSize+1),
		"no sequence":  pem.EncodeToMemory(&pem.Block{Type: keyfile.PEMType, Bytes: []byte{1}}),
	} {
		_, err := keyfile.Parse(b)
		require.ErrorContains(t, err, what)
	}
}

func FuzzParse(f *testing.F) {
	block, _ := pem.Decode(read(f, "ecc.tss2.pem"))
	f.Add(block.Bytes)
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := keyfile.Parse(pem.EncodeToMemory(&pem.Block{Type: keyfile.PEMType, Bytes: der}))
		if err != nil {
			return
		}
		b, err := keyfile.Marshal(k)
		require.NoError(t, err)
		again, err := keyfile.Parse(b)
		require.NoError(t, err)
		require.Equal(t, k, again)
	})
}

// A key that tpm2-tools made signs here, one that was made here is taken by them.
func TestKeysOfTPM2Tools(t *testing.T) {
	need.Program(t, "tpm2_encodeobject", "tpm2-tools")
	e := tpmtest.Swtpm(t, tpm.TPM20)
	p := e.Open(t).(*tpm20.TPM)
	require.NoError(t, p.Close()) // swtpm serves one at a time; it is started
	dir := t.TempDir()
	tool := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TPM2TOOLS_TCTI="+e.Config.String())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	tool("tpm2_createprimary", "-C", "o", "-G", "ecc256:aes128cfb", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt", "-c", "srk.ctx")
	tool("tpm2_create", "-C", "srk.ctx", "-G", "ecc256", "-u", "k.pub", "-r", "k.priv")
	tool("tpm2_flushcontext", "-t") // there is no resource manager
	tool("tpm2_encodeobject", "-C", "0x40000001", "-u", "k.pub", "-r", "k.priv", "-o", "k.pem")
	b, err := os.ReadFile(filepath.Join(dir, "k.pem"))
	require.NoError(t, err)
	w, err := keyfile.Parse(b)
	require.NoError(t, err, "%s", b)
	p = e.Open(t).(*tpm20.TPM)
	k, err := p.SigningKey(t.Context(), t.Context(), tpm20.SigningKeyConfig{Wrapped: &w})
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("message"))
	sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	require.True(t, ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig))
	if out := os.Getenv("GOTNC_WRITE_TESTDATA"); out != "" {
		require.NoError(t, os.WriteFile(filepath.Join(out, "ecc.tss2.pem"), b, 0o644))
	}
}
