package strongswan

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// strongSwan's client with imc-attestation-stub.so: the gateway finds what it finds with
// the library, and charon's log has the same digests.
func TestStubInCharon(t *testing.T) {
	r := newRig(t)
	log := filepath.Join(r.dir, "carol", "charon.log")
	wantRec, want := r.inCharon()
	theirs := digests(t, log)
	r.lib = filepath.Join(filepath.Dir(r.lib), "imc-attestation-stub.so")
	rec, got := r.inCharon()
	require.Equal(t, wantRec, rec)
	require.ElementsMatch(t, want, got)
	require.NotEmpty(t, theirs)
	require.Equal(t, theirs, digests(t, log))
	require.Contains(t, readFile(t, log), "[LIB] gotnc imc-attestation ")
	require.Contains(t, readFile(t, log), "[PTS] selected PTS measurement algorithm is ")
}

// TestMeasuresAsStrongSwan: each policy with each algorithm that a verifier may
// ask for. The directory's answer is beyond the size of a message, so that the
// verifier takes it in segments.
func TestMeasuresAsStrongSwan(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "gotnc-rig")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for i := range 4000 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%04d", i)), bytes.Repeat([]byte{byte(i)}, 1024+i), 0o644))
	}
	for _, policy := range []string{"files", "dir:" + dir} {
		for hash, name := range map[string]string{"sha1": "HASH_SHA1", "sha256": "HASH_SHA2_256", "sha384": "HASH_SHA2_384"} {
			kind, _, _ := strings.Cut(policy, ":")
			t.Run(kind+" "+hash, func(t *testing.T) {
				t.Setenv("RIG_POLICY", policy)
				t.Setenv("RIG_HASH", hash)
				r := newRig(t)
				wantRec, want := r.reference()
				log := filepath.Join(r.dir, "carol", "charon.log")
				theirs := digests(t, log)
				rec, got := r.inCharon()
				require.Equal(t, wantRec, rec)
				require.ElementsMatch(t, want, got)
				require.NotEmpty(t, theirs)
				require.Equal(t, theirs, digests(t, log), "the digests in charon's log")
				require.Contains(t, readFile(t, log), "[PTS] selected PTS measurement algorithm is "+name)
			})
		}
	}
}

// digests returns the lines of a charon.log that tell a file's digest, sorted.
func digests(t *testing.T, log string) []string {
	t.Helper()
	found := regexp.MustCompile(`(?m)\[PTS\]   [0-9a-f:]{59,} for '.*'$`).FindAllString(readFile(t, log), -1)
	slices.Sort(found)
	return found
}
