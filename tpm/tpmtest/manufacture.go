package tpmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
)

// Manufacture starts a swtpm as it leaves a factory: swtpm_setup makes endorsement
// keys, swtpm_localca certifies them, and the TPM holds the certificates (of a TPM
// 2.0: RSA 2048, and P-384 where the arguments have --ecc). It also returns the
// file with the CA certificates, root and intermediate in PEM. It writes only to
// the test's folders.
func Manufacture(t testing.TB, gen tpm.Generation, args ...string) (e *Emulator, cas string) {
	t.Helper()
	setup := need.Program(t, "swtpm_setup", "swtpm-tools")
	localca := need.Program(t, "swtpm_localca", "swtpm-tools")
	need.Program(t, "certtool", "gnutls-bin")
	e = newEmulator(t, gen)
	ca := t.TempDir()
	at := func(name string) string { return filepath.Join(ca, name) }
	for name, content := range map[string]string{
		"localca.conf": fmt.Sprintf("statedir = %s\nsigningkey = %s\nissuercert = %s\ncertserial = %s\n", ca, at("key.pem"), at("issuer.pem"), at("serial")),
		"options":      "",
		"setup.conf":   fmt.Sprintf("create_certs_tool = %s\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = %s\n", localca, at("localca.conf"), at("options")),
	} {
		if err := os.WriteFile(at(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{"--tpmstate", e.dir, "--config", at("setup.conf"), "--create-ek-cert", "--overwrite"}, args...)
	if gen == tpm.TPM20 {
		args = append(args, "--tpm2")
	}
	cmd := exec.Command(setup, args...)
	cmd.Env = append(os.Environ(), "HOME="+ca)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	var all []byte
	for _, name := range []string{"swtpm-localca-rootca-cert.pem", "issuer.pem"} {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, b...), '\n')
	}
	cas = at("cas.pem")
	if err := os.WriteFile(cas, all, 0o600); err != nil {
		t.Fatal(err)
	}
	e.Start(t)
	return e, cas
}
