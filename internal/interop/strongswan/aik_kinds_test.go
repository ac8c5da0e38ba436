package strongswan

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// aikKind is a row of the table.
type aikKind struct {
	name  string
	flags []string
	says  string // "trusted", or what strongSwan's verifier or this machine's TPM says
}

// aikKinds are attestation keys of every kind with what strongSwan's verifier says.
var aikKinds = []aikKind{
	{"RSA 2048, RSASSA, SHA-256", []string{"--scheme", "rsassa"}, "allowed"},
	{"RSA 2048, RSASSA, SHA-384", []string{"--scheme", "rsassa", "--hash", "sha384"}, "allowed"},
	{"RSA 2048, RSASSA, SHA-512", []string{"--scheme", "rsassa", "--hash", "sha512"}, "allowed"},
	{"RSA 2048, RSASSA, owner's hierarchy", []string{"--hierarchy", "owner"}, "allowed"},
	{"RSA 2048, RSAPSS, SHA-256", []string{"--scheme", "rsapss"}, "isolated"},
	{"RSA 3072, RSASSA, SHA-256", []string{"--bits", "3072"}, "allowed"},
	{"ECC P-256, ECDSA, SHA-256", []string{"--scheme", "ecdsa"}, "allowed"},
	{"ECC P-384, ECDSA, SHA-384", []string{"--scheme", "ecdsa", "--bits", "384", "--hash", "sha384"}, "allowed"},
	{"ECC P-521, ECDSA, SHA-512", []string{"--scheme", "ecdsa", "--bits", "521", "--hash", "sha512"}, "allowed"},
	{"RSA 2048, hierarchies with passwords", []string{"--owner-password-file", "OWNER", "--endorsement-password-file", "ENDORSEMENT"}, "allowed"},
}

// The table of docs/attestation-keys.md is what comes of each kind.
func TestKindsOfAIK(t *testing.T) {
	r := newAIKRig(t)
	require.NoError(t, os.WriteFile(r.in("owner"), []byte("o password\n"), 0o600))
	require.NoError(t, os.WriteFile(r.in("endorsement"), []byte("e password\n"), 0o600))
	rows := []string{"| attestation key | `tnc aik create` | strongSwan's verifier |", "|---|---|---|"}
	handle := 0x81010020
	for _, k := range aikKinds {
		t.Run(k.name, func(t *testing.T) {
			flags := append([]string{}, k.flags...)
			if strings.Contains(k.name, "passwords") { // from here on
				for hierarchy, password := range map[string]string{"o": "o password", "e": "e password"} {
					r.must("run", "env", "TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321", "tpm2_changeauth", "-c", hierarchy, password)
				}
			}
			for i, f := range flags {
				flags[i] = strings.NewReplacer("OWNER", r.in("owner"), "ENDORSEMENT", r.in("endorsement")).Replace(f)
			}
			handle++
			created := r.aik(append([]string{"create", "--replace", "--handle", fmt.Sprintf("0x%08x", handle), "--name", "carol", "--out", r.dir}, flags...)...)
			r.settings(printed(t, created, "In strongswan.conf:"))
			r.verifier(created)
			said, _, _ := r.attestMeasured()
			log := r.moonLog()
			require.Contains(t, log, "AIK public key is trusted")
			require.Equal(t, k.says, said, "%s", log)
			verdict := said
			if said == "allowed" {
				require.Contains(t, log, quoteVerified)
				r.processed(49)
			} else if m := regexp.MustCompile(`(?m)signature verification failed[^\n]*|Quote Info[^\n]*fail[^\n]*`).FindString(log); m != "" {
				verdict += ": " + m
			}
			rows = append(rows, fmt.Sprintf("| %s | `%s` | %s |", k.name, strings.Join(k.flags, " "), verdict))
		})
	}
	if t.Failed() {
		return
	}
	const page = "../../../docs/attestation-keys.md"
	table := strings.Join(rows, "\n") + "\n"
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	whole := regexp.MustCompile(`(?s)\| attestation key \|.*?\n\n`)
	if *updateSeed {
		require.NoError(t, os.WriteFile(page, whole.ReplaceAll(b, []byte(strings.ReplaceAll(table, "$", "$$")+"\n")), 0o644))
		return
	}
	require.Contains(t, string(b), table, "run with -update")
}
