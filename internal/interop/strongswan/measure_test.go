package strongswan

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inCharon is what the gateway finds with our library in strongSwan's client.
func (r *rig) inCharon() (rec string, results []string) {
	r.t.Helper()
	r.must("moon")
	r.must("carol", r.lib)
	require.Contains(r.t, r.must("connect"), "initiate completed successfully")
	rec, results = r.results()
	r.must("stop", "carol")
	return rec, results
}

// TestMeasuresWithEachHash: the algorithms that a verifier may ask for.
func TestMeasuresWithEachHash(t *testing.T) {
	for _, hash := range []string{"sha1", "sha384"} { // sha256 is everywhere else
		t.Run(hash, func(t *testing.T) {
			t.Setenv("RIG_HASH", hash)
			r := newRig(t)
			wantRec, want := r.reference()
			rec, got := r.inCharon()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got)
		})
	}
}

// TestMeasuresFourThousandFiles: an answer beyond the size of a message, which
// the verifier takes in segments.
func TestMeasuresFourThousandFiles(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "gotnc-rig")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for i := range 4000 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%04d", i)), bytes.Repeat([]byte{byte(i)}, 1024+i), 0o644))
	}
	t.Setenv("RIG_POLICY", "dir:"+dir)
	r := newRig(t)
	wantRec, want := r.reference()
	rec, got := r.inCharon()
	require.Equal(t, wantRec, rec)
	require.ElementsMatch(t, want, got)
	log := readFile(t, filepath.Join(r.dir, "carol", "charon.log"))
	require.True(t, strings.Contains(log, "for directory '"+dir+"'") && strings.Contains(log, " for 'file3999'"), "charon's log tells of the directory and its files")
	t.Log(got)
}
