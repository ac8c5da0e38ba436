package strongswan

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A key that `tnc aik` made, certified by the rig's CA over files alone, signs
// quotes that strongSwan's verifier accepts.
func TestKeyOfAIKCreate(t *testing.T) {
	for scheme, handle := range map[string]string{"rsassa": "0x81010010", "ecdsa": "0x81010011"} {
		t.Run(scheme, func(t *testing.T) {
			t.Setenv("RIG_AIK_HANDLE", handle)
			r := newTPMRig(t)
			r.must("tpm", "50")
			// The rig's tools leave keys in the TPM, which without a resource
			// manager has room for three.
			r.must("run", "env", "TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321", "tpm2_flushcontext", "-t")
			r.must("client", r.lib)
			in := func(name string) string { return filepath.Join(r.dir, name) }
			var made struct {
				Handle string `json:"handle"`
				KeyID  string `json:"key_id"`
				EK     string `json:"endorsement_key_sha256"`
			}
			require.NoError(t, r.runJSON(&made, "aik", "create", "--scheme", scheme, "--handle", handle, "--name", "carol", "--out", r.dir))
			require.Equal(t, handle, made.Handle)
			r.must("run", r.tnc, "aik", "issue", in("aik.request"), "--ca-cert", in("pki/ca.pem"), "--ca-key", in("pki/ca.key"), "--ek-sha256", made.EK, "--out", in("aik.answer"))
			r.must("run", r.tnc, "aik", "activate", in("aik.answer"), "--handle", handle, "--out", in("aik.crt"))

			// What the rig's own key would be, for client and gateway.
			block, _ := pem.Decode([]byte(readFile(t, in("aik.crt"))))
			require.NotNil(t, block)
			require.NoError(t, os.WriteFile(in("aik.der"), block.Bytes, 0o644))
			require.NoError(t, os.WriteFile(in("aik.keyid"), []byte(made.KeyID+"\n"), 0o644))
			r.must("moon")
			recommendation, _, _ := r.attestMeasured()
			require.Equal(t, "allowed", recommendation, "%s", r.moonLog())
			require.Contains(t, r.moonLog(), quoteVerified)
			r.processed(49)
		})
	}
}
