package strongswan

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// printed returns the indented lines that follow the line that starts so.
func printed(t *testing.T, stdout, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(stdout, "\n"+after)
	require.True(t, ok, "%q in %s", after, stdout)
	_, rest, _ = strings.Cut(rest, "\n\n")
	var out []string
	for _, l := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(l, "  ") {
			break
		}
		out = append(out, l[2:])
	}
	require.NotEmpty(t, out)
	return strings.Join(out, "\n") + "\n"
}

// aikRig is a rig whose client has a TPM and no settings of an attestation key, and
// whose verifier knows no device.
type aikRig struct {
	*rig
	base string // strongswan.conf of the client
}

func newAIKRig(t *testing.T) *aikRig {
	need.Program(t, "sqlite3", "sqlite3")
	r := &aikRig{rig: newTPMRig(t)}
	r.must("tpm", "50")
	// The rig's tools leave keys in the TPM, which without a resource manager has
	// room for three; its own attestation key is of no interest here.
	r.must("run", "env", "TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321", "tpm2_flushcontext", "-t")
	r.must("client", r.lib)
	require.NoError(t, os.Remove(r.in("aik.keyid")))
	conf := readFile(t, r.in("client/strongswan.conf"))
	at := strings.Index(conf, "libimcv {")
	require.Positive(t, at)
	r.base = conf[:at]
	require.NotContains(t, r.base, "aik_")
	r.settings("")
	return r
}

func (r *aikRig) in(name string) string { return filepath.Join(r.dir, name) }

func (r *aikRig) settings(lines string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.in("client/strongswan.conf"), []byte(r.base+lines), 0o644))
}

// aik runs a command of tnc aik.
func (r *aikRig) aik(args ...string) string {
	r.t.Helper()
	return r.must(append([]string{"run", r.tnc, "aik"}, args...)...)
}

// verifier starts the gateway with the rows that the output prints.
func (r *aikRig) verifier(stdout string) {
	r.t.Helper()
	r.must("moon")
	cmd := exec.Command("sqlite3", r.in("moon/db/config.db"))
	cmd.Stdin = strings.NewReader(printed(r.t, stdout, "The verifier "))
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

// What tnc aik prints, followed to the letter, leads strongSwan's verifier to
// trust: over the bare key, and over a certificate of a privacy CA of its own.
func TestWhatAIKPrintsLeadsToTrust(t *testing.T) {
	for _, scheme := range []string{"rsassa", "ecdsa"} {
		t.Run(scheme, func(t *testing.T) {
			r := newAIKRig(t)
			created := r.aik("create", "--scheme", scheme, "--name", "carol", "--out", r.dir)
			r.settings(printed(t, created, "In strongswan.conf:"))
			r.verifier(created)
			recommendation, _, _ := r.attestMeasured()
			require.Equal(t, "allowed", recommendation, "%s", r.moonLog())
			require.Contains(t, r.moonLog(), quoteVerified)
			require.Contains(t, r.moonLog(), "AIK public key is trusted")
			r.processed(49)

			openssl := need.Program(t, "openssl", "openssl")
			out, err := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=privacy CA",
				"-keyout", r.in("privacy.key"), "-out", r.in("privacy.pem")).CombinedOutput()
			require.NoError(t, err, "%s", out)
			ek := regexp.MustCompile(`--ek-sha256 ([0-9a-f]{64})`).FindStringSubmatch(created)[1]
			issued := r.aik("issue", r.in("aik.request"), "--ca-cert", r.in("privacy.pem"), "--ca-key", r.in("privacy.key"), "--ek-sha256", ek, "--out", r.in("aik.answer"))
			require.Contains(t, issued, "and the certificate of the privacy CA, "+r.in("privacy.pem"))
			activated := r.aik("activate", r.in("aik.answer"), "--out", r.in("aik.crt"))
			r.settings(printed(t, activated, "In strongswan.conf:"))
			r.verifier(issued)
			recommendation, _, _ = r.attestMeasured()
			require.Equal(t, "isolated", recommendation, "the verifier does not know the CA yet: %s", r.moonLog())

			require.NoError(t, os.WriteFile(r.in("aikca/privacy.pem"), []byte(readFile(t, r.in("privacy.pem"))), 0o644))
			r.verifier(issued)
			recommendation, _, _ = r.attestMeasured()
			require.Equal(t, "allowed", recommendation, "%s", r.moonLog())
			require.Contains(t, r.moonLog(), quoteVerified)
			require.Contains(t, r.moonLog(), "AIK public key is trusted")
			require.Contains(t, r.moonLog(), "AIK certificate is trusted")
			r.processed(49)
		})
	}
}
