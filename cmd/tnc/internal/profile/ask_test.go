package profile

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm/keyfile"
)

// The passphrase of an encrypted key is asked for until it is the right one, and
// only where the connection needs the key.
func TestAskPassphrase(t *testing.T) {
	openssl := need.Program(t, "openssl", "openssl")
	dir := t.TempDir()
	for _, args := range []string{
		"req -x509 -newkey rsa:2048 -nodes -keyout plain.pem -out x509/carol.pem -subj /CN=carol -days 30",
		"pkcs8 -topk8 -in plain.pem -out private/carol.pem -passout pass:tuesday",
	} {
		require.NoError(t, exec.Command("mkdir", "-p", filepath.Join(dir, "x509"), filepath.Join(dir, "private")).Run())
		cmd := exec.Command(openssl, strings.Fields(args)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	load := func(auth, secrets string) *Profile {
		file := filepath.Join(dir, "swanctl.conf")
		require.NoError(t, os.WriteFile(file, []byte("connections { home {\n local { "+auth+"\n }\n remote { auth = pubkey\n }\n children { home {\n } }\n } }\n"+secrets), 0o600))
		m, err := swanctl.Load(file)
		require.NoError(t, err)
		t.Cleanup(m.Close)
		return &Profile{Swanctl: m, Connection: m.Connections[0]}
	}
	var prompts []string
	answer := func(lines ...string) func(context.Context, string) ([]byte, error) {
		prompts = nil
		return func(_ context.Context, prompt string) ([]byte, error) {
			prompts = append(prompts, strings.ReplaceAll(prompt, dir+"/", ""))
			line := lines[0]
			lines = lines[1:]
			return []byte(line), nil
		}
	}
	const pubkey = "auth = pubkey\n certs = carol.pem"
	for _, secrets := range []string{"", "secrets { private-c {\n file = carol.pem\n } }\n"} {
		p := load(pubkey, secrets)
		require.NoError(t, p.AskSecrets(t.Context(), answer("monday", "tuesday")))
		require.Equal(t, []string{"Passphrase of private/carol.pem", "That was not it. Passphrase of private/carol.pem"}, prompts)
		_, err := credential.Open(p.Swanctl, nil, nil).Of(p.Connection.Local[0].Certs[0])
		require.NoError(t, err)
		require.NoError(t, p.AskSecrets(t.Context(), answer()), "once")
	}
	p := load(pubkey, "")
	require.NoError(t, p.AskSecrets(t.Context(), answer("a", "b", "c")), "three times")
	require.NoError(t, load(pubkey, "").AskSecrets(t.Context(), answer("")), "left empty")
	require.NoError(t, load(pubkey, "secrets { private-c {\n file = carol.pem\n secret = tuesday\n } }\n").AskSecrets(t.Context(), answer()))
	require.NoError(t, load("auth = psk", "").AskSecrets(t.Context(), answer()))

	// The password of a TPM's key is asked for where its file says that it has one. It
	// is not tried here.
	content, err := os.ReadFile("../../../../tpm/keyfile/testdata/ecc.tss2.pem")
	require.NoError(t, err)
	w, err := keyfile.Parse(content)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, "private/carol.pem"), filepath.Join(dir, "carol.pem")))
	for _, emptyAuth := range []bool{true, false} {
		w.EmptyAuth = emptyAuth
		content, err = keyfile.Marshal(w)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "private/tpm.pem"), content, 0o600))
		p := load("auth = pubkey", "")
		if emptyAuth {
			require.NoError(t, p.AskSecrets(t.Context(), answer()))
			require.Empty(t, p.Swanctl.Keys)
			continue
		}
		require.NoError(t, p.AskSecrets(t.Context(), answer("thursday")))
		require.Equal(t, []string{"Password of the TPM's key private/tpm.pem"}, prompts)
		require.Len(t, p.Swanctl.Keys, 1)
		require.Equal(t, "thursday", string(p.Swanctl.Keys[0].Passphrase))
		require.NoError(t, load("auth = pubkey", "secrets { private-t {\n file = tpm.pem\n secret = thursday\n } }\n").AskSecrets(t.Context(), answer()))
	}

	require.NoError(t, os.Remove(filepath.Join(dir, "private/tpm.pem")))
	require.NoError(t, os.Rename(filepath.Join(dir, "carol.pem"), filepath.Join(dir, "private/carol.pem")))

	p = load("auth = eap-ttls\n eap_id = carol", "")
	require.NoError(t, p.AskSecrets(t.Context(), answer("friday")))
	require.Equal(t, []string{"Password of carol for home"}, prompts)
	s, ok := p.Swanctl.Secret("eap", "carol")
	require.True(t, ok)
	require.Equal(t, "friday", string(s.Secret))
	require.NoError(t, load("auth = eap-tls\n eap_id = carol\n certs = carol.pem", "secrets { private-c {\n file = carol.pem\n secret = tuesday\n } }\n").AskSecrets(t.Context(), answer()))
}
