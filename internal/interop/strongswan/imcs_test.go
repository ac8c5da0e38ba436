package strongswan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// strongSwan's own IMCs, none of which was written for this host.
var theirs = []string{"imc-os", "imc-attestation", "imc-test", "imc-scanner", "imc-swima"}

// Our client with strongSwan's five IMCs, each in a child and all in process,
// gets what strongSwan's client gets with them.
func TestStrongSwansIMCsInOurClient(t *testing.T) {
	r := newRig(t)
	original := r.script
	r.edited(imvs("imv-test", "imv-scanner", "imv-os", "imv-attestation"), testIMC("command = allow\n additional_ids = 2"), testIMV("rounds = 2"))
	r.must("moon")
	said, _ := r.initiate(theirs...)
	require.Contains(t, said, "initiate completed successfully")
	wantRec, want := r.results()
	require.Contains(t, want, "directory measurement correct")
	for _, mode := range []string{"child", "in process"} {
		t.Run(mode, func(t *testing.T) {
			r.t = t
			if mode == "in process" {
				path := filepath.Join(filepath.Dir(r.script), carolConf)
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), "    eap-tnc {", "    tnc-imc {\n in_process = yes\n }\n    eap-tnc {", 1)), 0o600))
			}
			r.must("moon")
			a := r.attest(theirs...)
			require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
			require.Equal(t, "compliant", a.Assessment)
			require.Equal(t, []string{allowNet}, a.Child.RemoteTS)
			rec, got := r.results()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got)
			require.Contains(t, a.log, `IMC 2 "Attestation" initialized`)
			require.Contains(t, a.log, "libimcv terminated")
			told := map[string]string{}
			for _, row := range a.Explained {
				told[row.Asked] += row.Verifier + " " + row.IMC + " " + strings.Join(row.Answers, ";")
			}
			require.Contains(t, told["name and maker of the operating system"], `"Debian"`)
			require.Contains(t, told["the digests of all files in /usr/sbin"], "imc2")
			require.Regexp(t, `^IMV [0-9]+ of PTS imc2 files`, told["what this machine's measuring can do"])
		})
	}
	r.t, r.script = t, original
}
