package strongswan

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

const quoteVerified = "TPM Quote Info signature verification successful"

// newTPMRig is a rig whose policy asks for a quote with BIOS and IMA evidence.
func newTPMRig(t *testing.T) *rig {
	t.Helper()
	t.Setenv("RIG_POLICY", "bios+ima")
	r := newRig(t)
	need.Program(t, "swtpm", "swtpm")
	need.Program(t, "tpm2_createak", "tpm2-tools")
	return r
}

func (r *rig) moonLog() string { return readFile(r.t, filepath.Join(r.dir, "moon", "charon.log")) }

// attestMeasured runs our client; code is its exit code.
func (r *rig) attestMeasured() (recommendation string, exchanges, code int) {
	r.t.Helper()
	var out struct {
		Recommendation string `json:"recommendation"`
		Exchanges      int    `json:"exchanges"`
		ExitCode       int    `json:"exit_code"`
	}
	_ = r.runJSON(&out, "attest", "home")
	return out.Recommendation, out.Exchanges, out.ExitCode
}

// measureIn runs tnc measure in carol's network and returns what it reports.
func (r *rig) measureIn() (matches *bool, entry int, name string) {
	r.t.Helper()
	var out struct {
		Matches    *bool `json:"matches"`
		Difference *struct {
			Entry int    `json:"entry"`
			Name  string `json:"name"`
		} `json:"first_difference"`
	}
	_ = r.runJSON(&out, "measure")
	if out.Difference != nil {
		entry, name = out.Difference.Entry, out.Difference.Name
	}
	return out.Matches, entry, name
}

func TestQuoteIsAcceptedOnTheFirstConnect(t *testing.T) {
	want := []string{
		"registered IMA boot aggregate evidence measurement; processed 49 IMA file evidence measurements: 0 ok, 49 unknown, 0 differ, 0 failed; registered 24 BIOS evidence measurements",
	}
	t.Run("tnc", func(t *testing.T) {
		r := newTPMRig(t)
		r.must("tpm", "50")
		r.must("moon")
		r.must("client", r.lib)
		matches, _, _ := r.measureIn()
		require.NotNil(t, matches)
		require.True(t, *matches, "tnc measure finds no difference")
		recommendation, exchanges, _ := r.attestMeasured()
		require.Equal(t, "allowed", recommendation)
		rec, results := r.results()
		require.Equal(t, "0", rec)
		require.Equal(t, want, results)
		require.Contains(t, r.moonLog(), quoteVerified)
		t.Logf("%d exchanges", exchanges)

		// An altered entry: the verifier refuses, and tnc measure names it.
		log := filepath.Join(r.dir, "carol", "sec", "ima", "binary_runtime_measurements")
		b, err := os.ReadFile(log)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(log, bytes.Replace(b, []byte("/usr/bin/tool17\x00"), []byte("/usr/bin/evil17\x00"), 1), 0o600))
		recommendation, _, code := r.attestMeasured()
		require.Equal(t, "isolated", recommendation)
		require.Equal(t, 3, code)
		_, results = r.results()
		require.Contains(t, strings.Join(results, "; "), "Invalid TPM Quote signature received")
		require.Contains(t, r.moonLog(), "received PCR Composite digest does not match constructed one")
		matches, entry, name := r.measureIn()
		require.NotNil(t, matches)
		require.False(t, *matches)
		require.Equal(t, 18, entry)
		require.Equal(t, "/usr/bin/evil17", name)
	})
	t.Run("library in charon", func(t *testing.T) {
		r := newTPMRig(t)
		r.must("tpm", "50")
		r.must("moon")
		r.must("carol", r.lib)
		require.Contains(t, r.must("connect"), "initiate completed successfully")
		rec, results := r.results()
		require.Equal(t, "0", rec)
		require.Equal(t, want, results)
		require.Contains(t, r.moonLog(), quoteVerified)
	})
}

// strongSwanExchanges is what strongSwan's client needs for 20,000 entries.
const strongSwanExchanges = 2209

func TestTwentyThousandEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: -short")
	}
	t.Setenv("RIG_TNC_LOG", "1")
	r := newTPMRig(t)
	r.must("tpm", "20000")
	r.must("moon")
	r.must("carol", r.lib)
	require.Contains(t, r.must("connect"), "initiate completed successfully")
	r.processed(19999)
	inCharon := len(regexp.MustCompile(`(?m)parsed IKE_AUTH request \d+ `).FindAllString(r.moonLog(), -1))
	r.must("stop", "carol")

	r.must("moon")
	r.must("client", r.lib)
	out := r.must("run", r.tnc, "attest", "home")
	require.Contains(t, out, "access allowed")
	summary := regexp.MustCompile(`cost +(\d+) exchanges`).FindStringSubmatch(out)
	require.Len(t, summary, 2, "the number is in the summary: %s", out)
	exchanges := atoi(t, summary[1])
	r.processed(19999)
	t.Logf("IKE exchanges: tnc %d, the library in charon %d, strongSwan with its own IMCs %d", exchanges, inCharon, strongSwanExchanges)
	require.LessOrEqual(t, exchanges, strongSwanExchanges/5, "a fifth at most")
}

// processed checks that the newest session is allowed with that many entries.
func (r *rig) processed(n int) {
	r.t.Helper()
	rec, results := r.results()
	require.Equal(r.t, "0", rec)
	m := regexp.MustCompile(`processed (\d+) IMA file`).FindStringSubmatch(strings.Join(results, "; "))
	require.Len(r.t, m, 2, "%v", results)
	require.Equal(r.t, n, atoi(r.t, m[1]))
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(s), &n))
	return n
}
