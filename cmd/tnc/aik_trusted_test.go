package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpmtest"
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

// Exactly what the commands print leads to "allowed" at a verifier that knows the
// devices of its database, with a certificate and without one, for both
// generations; without it the machine is isolated.
func TestWhatAIKPrintsLeadsToTrust(t *testing.T) {
	sqlite3 := need.Program(t, "sqlite3", "sqlite3")
	program := filepath.Join(t.TempDir(), "tnc")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, gen := range []tpm.Generation{tpm.TPM20, tpm.TPM12} {
		t.Run(gen.String(), func(t *testing.T) {
			e, cas := tpmtest.Manufacture(t, gen)
			a := newAIKSite(t, e, cas)
			a.dir = filepath.Join(a.dir, "in a folder")
			require.NoError(t, os.Mkdir(a.dir, 0o755))
			a.conf = a.write("strongswan.conf", "")
			flags := []string{"--out", a.dir, "--name", "carol"}
			owner := []string{}
			if gen == tpm.TPM12 {
				a.write("owner", "owner\n")
				owner = []string{"--owner-password-file", a.path("owner")}
				flags = append(append(flags, owner...), "--take-ownership")
			}
			created := a.good(a.tpm("create", flags...))
			db := a.path("config.db")
			sql := func(statements string) string {
				cmd := exec.Command(sqlite3, db)
				cmd.Stdin = strings.NewReader(statements)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				return string(out)
			}
			sql("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE devices (id INTEGER PRIMARY KEY, value TEXT, product INTEGER, trusted INTEGER DEFAULT 0, created INTEGER);")
			sql(printed(t, created, "The verifier "))
			sql(printed(t, created, "The verifier "))
			row := strings.Split(strings.TrimSpace(sql("SELECT value, name, trusted, created IS NULL FROM devices JOIN products ON product = products.id;")), "|")
			require.Len(t, row, 4, "one row")
			keyID := regexp.MustCompile(`key ID +([0-9a-f]{40})`).FindStringSubmatch(created)[1]
			require.Equal(t, keyID, row[0])
			require.Regexp(t, `^\S+ \S+ \S+$`, row[1], "name, version, machine")
			require.Equal(t, []string{"1", "1"}, row[2:])

			s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Devices = []string{row[0]} })
			t.Cleanup(e.Stop) // before the site looks for children
			base, err := os.ReadFile(s.path("strongswan.conf"))
			require.NoError(t, err)
			attest := func(settings string) string {
				s.write("strongswan.conf", string(base)+settings)
				// the program itself: an IMC looks for settings by the name of its host
				out, _ := exec.Command(program, append([]string{"attest", "home", "--dataplane", "none", "-v"}, s.args...)...).CombinedOutput()
				return string(out)
			}
			require.Contains(t, attest(""), "isolated", "the machine's ID is none of the verifier's")
			require.Contains(t, attest(printed(t, created, "In strongswan.conf:")), "allowed")

			issued := a.good(a.ca("--ek-ca", cas))
			require.Equal(t, printed(t, created, "The verifier "), printed(t, issued, "The verifier "), "the request says the product")
			require.Contains(t, printed(t, issued, "and the certificate of the privacy CA, "+a.caCert), "cadir")
			a.write("strongswan.conf", printed(t, created, "In strongswan.conf:"))
			activated := a.good(a.tpm("activate", append(owner, a.path("aik.answer"), "--out", a.path("aik.crt"))...))
			lines := printed(t, activated, "In strongswan.conf:")
			require.Contains(t, lines, "device_cert = ")
			require.Contains(t, attest(lines), "allowed")

			// Where strongswan.conf says which TPM, no flag is needed to see the same.
			a.write("strongswan.conf", string(base)+printed(t, created, "In strongswan.conf:")+lines)
			shown, stderr, code := runTNC(t, "aik", "show", "--strongswan-conf", a.conf)
			require.Zero(t, code, stderr)
			require.Regexp(t, "device ID +"+keyID+"\n", shown)
			require.Contains(t, lines, printed(t, shown, "In strongswan.conf:"))
			a.write("strongswan.conf", strings.NewReplacer("device_cert", "x", "device_handle", "x", "device_pubkey", "x").Replace(string(base)+printed(t, created, "In strongswan.conf:")+lines))
			shown, stderr, code = runTNC(t, "aik", "show", "--strongswan-conf", a.conf)
			require.Zero(t, code, stderr)
			require.Contains(t, shown, "is not the key ID")
		})
	}
}

// A request comes from strangers: what it calls its product does not alter the
// verifier's database.
func TestProductOfARequestIsText(t *testing.T) {
	sqlite3 := need.Program(t, "sqlite3", "sqlite3")
	s := newAIKSite(t, tpmtest.Swtpm(t, tpm.TPM20), "")
	created := s.good(s.tpm("create", "--ek", "ecc", "--out", s.dir))
	ek := regexp.MustCompile(`--ek-sha256 ([0-9a-f]{64})`).FindStringSubmatch(created)[1]
	b, err := os.ReadFile(s.path("aik.request"))
	require.NoError(t, err)
	evil := regexp.MustCompile(`(?m)^Product: .*$`).ReplaceAllString(string(b), "Product: x'); DROP TABLE devices; --\x1b[31m")
	require.NotEqual(t, string(b), evil)
	s.write("aik.request", evil)
	stdout := s.good(s.ca("--ek-sha256", ek))
	require.NotContains(t, stdout, "\x1b")
	cmd := exec.Command(sqlite3, ":memory:")
	cmd.Stdin = strings.NewReader("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE devices (id INTEGER PRIMARY KEY, value TEXT, product INTEGER, trusted INTEGER DEFAULT 0);" +
		printed(t, stdout, "The verifier ") + "SELECT count(*) FROM devices WHERE trusted = 1;")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "1\n", string(out))

	s.write("aik.request", regexp.MustCompile(`(?m)^Product: .*\n`).ReplaceAllString(string(b), ""))
	stdout = s.good(s.ca("--ek-sha256", ek, "--replace"))
	require.Contains(t, stdout, "give --product")
	stdout = s.good(s.ca("--ek-sha256", ek, "--replace", "--product", "Debian 13 x86_64"))
	require.Contains(t, printed(t, stdout, "The verifier "), "'Debian 13 x86_64'")
}
