package strongswan

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// strongSwan's imc-os beside our library, in both orders of tnc_config: the
// verifier gets the platform once, from imc-os, and decides as ever.
func TestBesideStrongSwansOperatingSystemIMC(t *testing.T) {
	r := newRig(t)
	wantRec, want := r.reference()
	theirs := filepath.Join(r.prefix, "lib", "ipsec", "imcvs", "imc-os.so")
	for name, order := range map[string][]string{"before": {theirs, r.lib}, "after": {r.lib, theirs}} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.must("moon")
			r.must(append([]string{"carol"}, order...)...)
			require.Contains(t, r.must("connect"), "initiate completed successfully")
			rec, got := r.results()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got)
			log := readFile(t, filepath.Join(r.dir, "carol", "charon.log"))
			require.Equal(t, 1, strings.Count(log, "creating PA-TNC attribute type 'IETF/Product Information'"), "one IMC tells the platform")
			require.Equal(t, 1, strings.Count(log, "creating PA-TNC attribute type 'ITA-HSR/Device ID'"))
			r.must("stop", "carol")

			// In tnc each has a process of its own.
			names := []string{"imc-os", "ours"}
			if name == "after" {
				names = []string{"ours", "imc-os"}
			}
			r.must("moon")
			a := r.attest(names...)
			require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
			rec, got = r.results()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got)
			require.Equal(t, 1, strings.Count(a.log, "device ID is "), "%s", a.log)
		})
	}
	r.t = t
}
