package strongswan

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// sql runs statements on the verifier's database.
func (r *rig) sql(db string, statements ...string) {
	r.t.Helper()
	need.Program(r.t, "sqlite3", "sqlite3")
	out, err := exec.Command("sqlite3", db, strings.Join(statements, ";\n")).CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

// software lists what the server's log says of software inventories and events.
var software = regexp.MustCompile(`received software[^\n]*`)

// TestSWIMAOverPTTLS is tnccs-20-pdp-pt-tls and tnccs-20-ev-pt-tls with the
// originals' own IMCs and IMVs, OS and SWIMA: strongSwan's IMCs send the same
// software inventory, or events, through our client as through its own. An
// inventory is a long message in many segments.
func TestSWIMAOverPTTLS(t *testing.T) {
	for _, s := range []struct{ name, policy string }{
		{"tnccs-20-pdp-pt-tls identifiers", "SWID Tag IDs"},
		{"tnccs-20-pdp-pt-tls tags", "SWID Tags"},
		{"tnccs-20-ev-pt-tls events", "SWID Tag IDs"},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := newPDP(t, "1.3",
				edit{"moon/tnc_config", "IMV \"Attestation\"", "IMV \"OS\" PREFIX/lib/ipsec/imcvs/imv-os.so\nIMV \"SWIMA\" PREFIX/lib/ipsec/imcvs/imv-swima.so\n#"})
			db := filepath.Join(p.dir, "moon", "db", "config.db")
			p.sql(db, "DELETE FROM enforcements", "INSERT INTO enforcements (policy,group_id,max_age) SELECT id,2,0 FROM policies WHERE name='"+s.policy+"'")
			imcs := fmt.Sprintf("IMC \"OS\" %[1]s/lib/ipsec/imcvs/imc-os.so\nIMC \"SWIMA\" %[1]s/lib/ipsec/imcvs/imc-swima.so\n", p.prefix)
			conf := "libimcv {\n  swid_gen {\n    tag_creator {\n      name = Debian Project\n      regid = debian.org\n    }\n  }\n"
			want := "received software ID inventory"
			switch {
			case strings.HasSuffix(s.name, "tags"):
				want = "received software inventory"
			case strings.HasSuffix(s.name, "events"):
				want = "received software ID events"
				conf += "  plugins {\n    imc-swima {\n      swid_database = sqlite://" + p.collected() + "\n    }\n  }\n"
			}
			conf += "}\n"
			theirs := conf + "pt-tls-client {\n  load = revocation constraints pem openssl nonce random pkcs1 pkcs8 x509 pubkey sha1 gmp sqlite tnc-tnccs tnc-imc tnccs-20\n}\nlibtls {\n  version_max = 1.3\n}\n"
			_, stderr, err := p.run(filepath.Join(p.prefix, "bin/pt-tls-client"), theirs, imcs, append(p.credentials(true), "--debug", "1")...)
			t.Logf("pt-tls-client: %v", err) // its exit code says nothing about the recommendation
			require.Contains(t, stderr, "received SASL Success result")
			wantRec, wantResults := p.decided(1)
			found := software.FindAllString(readFile(t, p.log), -1)
			require.NotEmpty(t, found, "%s", readFile(t, p.log))
			require.Contains(t, found[0], want)

			for i, sasl := range []bool{true, false} {
				stdout, stderr, err := p.run(p.tnc, conf, imcs, append([]string{"pt-tls", "--json", "--explain"}, p.credentials(sasl)...)...)
				require.Contains(t, []int{0, 3}, exitCode(err), "%s%s", stdout, stderr)
				rec, got := p.decided(i + 2)
				require.Equal(t, wantRec, rec)
				require.ElementsMatch(t, wantResults, got)
				all := software.FindAllString(readFile(t, p.log), -1)
				n := len(found)
				require.Equal(t, withoutRequest(found), withoutRequest(all[n*(i+1):]), "the server received the same")
				var out answer
				require.NoError(t, json.Unmarshal([]byte(stdout), &out))
				told := false
				for _, row := range out.Explained {
					told = told || row.Asked == "the software installed on this machine" && strings.HasSuffix(row.Verifier, " of SWIMA") && row.IMC == "SWIMA" &&
						slices.ContainsFunc(row.Answers, regexp.MustCompile(`^[1-9][0-9]* (name|record|event)s? of `).MatchString)
				}
				require.True(t, told, "%+v", out.Explained)
			}
		})
	}
}

var request = regexp.MustCompile(`for request [0-9]+`)

// withoutRequest takes the number of the request, which is the verifier's, away.
func withoutRequest(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = request.ReplaceAllString(l, "")
	}
	return out
}

// collected makes a database of software events, as sw-collector would.
func (p *pdp) collected() string {
	p.t.Helper()
	db := filepath.Join(p.dir, "collector.db")
	tables, err := os.ReadFile(filepath.Join(p.prefix, "share/strongswan/templates/database/sw-collector/sw_collector_tables.sql"))
	require.NoError(p.t, err)
	p.sql(db, string(tables))
	p.conf("collector/history.log", `
Start-Date: 2026-01-02  03:04:05
Commandline: apt-get install hello
Install: hello:amd64 (2.10-3), libhello:amd64 (1.0-1)
End-Date: 2026-01-02  03:04:06

Start-Date: 2026-02-02  03:04:05
Commandline: apt-get remove hello
Remove: hello:amd64 (2.10-3)
End-Date: 2026-02-02  03:04:06
`)
	conf := p.conf("collector/strongswan.conf", fmt.Sprintf("sw-collector {\n  load = random nonce openssl sqlite\n  database = sqlite://%s\n  history = %s\n  first_time = 2026-01-01T00:00:00Z\n}\n", db, filepath.Join(p.dir, "collector", "history.log")))
	cmd := exec.Command(filepath.Join(p.prefix, "sbin/sw-collector"), "--quiet")
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	out, err := cmd.CombinedOutput()
	require.NoError(p.t, err, "%s", out)
	return db
}
