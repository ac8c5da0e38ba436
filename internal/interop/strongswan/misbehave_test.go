package strongswan

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// TestMisbehavingIMCs: an IMC that crashes, ends, hangs, sends garbage or calls
// from a thread of its own costs its own answers, is named, and the gateway gets
// everything from the others.
func TestMisbehavingIMCs(t *testing.T) {
	r := newRig(t)
	need.Program(t, "cc", "gcc")
	wantRec, want := r.reference()
	original := r.script
	for _, c := range []struct {
		macro, says string
		imvs        []string
	}{
		{"CRASH", "SIGSEGV", []string{"imv-attestation"}},
		{"EXIT", "exit status 7", []string{"imv-attestation"}},
		{"HANG", "no return from TNC_IMC_BeginHandshake within 1s", []string{"imv-attestation"}},
		{"THREAD", "", []string{"imv-attestation"}},
		{"GARBAGE", "", []string{"imv-attestation"}},
		{"GARBAGE", "", []string{"imv-test", "imv-attestation"}}, // which reads it
	} {
		t.Run(c.macro+" "+strings.Join(c.imvs, " "), func(t *testing.T) {
			r.t, r.script = t, original
			r.edited(imvs(c.imvs...), edit{carolConf, "    eap-tnc {", "    tnc-imc {\n call_timeout = 1s\n }\n    eap-tnc {"})
			so := filepath.Join(t.TempDir(), "imc.so")
			out, err := exec.Command("cc", "-shared", "-fPIC", "-pthread", "-D"+c.macro, "-o", so, "../../../tnccs/dlimc/testdata/imc.c").CombinedOutput()
			require.NoError(t, err, "%s", out)
			r.must("moon")
			a := r.attest(so, "ours")
			require.Equal(t, "allowed", a.Recommendation, "%s", a.log)
			require.NotNil(t, a.Child, "%s", a.log)
			rec, got := r.results()
			require.Equal(t, wantRec, rec)
			require.Subset(t, got, want)
			if c.says != "" {
				require.Contains(t, a.log, `IMC 1 "imc1" is lost`)
				require.Contains(t, a.log, c.says)
			} else {
				require.NotContains(t, a.log, "is lost")
			}
		})
	}
	r.t, r.script = t, original
}
