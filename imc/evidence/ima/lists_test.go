package ima

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// readList reads a list whose template digests are of h: the number of entries, of those
// with a wrong digest, the templates, and the SHA-1 and SHA-256 values of PCR 10.
func readList(log []byte, h pcr.Hash) (entries, wrong int, templates map[string]int, banks [2]*pcr.Bank, err error) {
	banks = [2]*pcr.Bank{pcr.NewBank(pcr.SHA1), pcr.NewBank(pcr.SHA256)}
	templates = map[string]int{}
	r := NewReader(bytes.NewReader(log), Config{Hash: h})
	for {
		e, err := r.Next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return entries, wrong, templates, banks, err
		}
		entries++
		templates[e.Template]++
		if !e.Intact() {
			wrong++
		}
		for _, b := range banks {
			b.Extend(e.PCR, e.AppendMeasurement(nil, b.Hash(), PadNone))
		}
	}
}

// TestLists reads the IMA lists of GOTNC_IMA_LISTS, a folder, and lets evmctl of
// ima-evm-utils hold those with SHA-1 template digests against the PCRs that we compute.
// It prints the table of docs/event-logs.md.
func TestLists(t *testing.T) {
	folder := os.Getenv("GOTNC_IMA_LISTS")
	if folder == "" {
		t.Skip("GOTNC_IMA_LISTS names no folder of IMA lists")
	}
	evmctl, err := exec.LookPath("evmctl")
	if err != nil {
		t.Skip("evmctl of ima-evm-utils is not installed")
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("| list | source | digests | entries | wrong digests | templates | evmctl |\n|---|---|---|---|---|---|---|\n")
	for _, f := range files {
		path := filepath.Join(folder, f.Name())
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		h := pcr.SHA1
		entries, wrong, templates, banks, err := readList(log, h)
		if err != nil {
			h = pcr.SHA256
			entries, wrong, templates, banks, err = readList(log, h)
		}
		require.NoError(t, err, f.Name())
		says := "reads SHA-1 lists only"
		if h == pcr.SHA1 {
			args := []string{"ima_measurement", "--ignore-violations"}
			for i, b := range banks {
				file := filepath.Join(t.TempDir(), "pcrs")
				var values []byte
				for p := range uint32(pcr.Count) {
					values = fmt.Appendf(values, "PCR-%02d: % X\n", p, b.Value(p)) // as the kernel writes them for a TPM 1.2
				}
				require.NoError(t, os.WriteFile(file, values, 0o600))
				args = append(args, "--pcrs", []string{"sha1", "sha256"}[i]+","+file)
			}
			out, err := exec.CommandContext(t.Context(), evmctl, append(args, path)...).CombinedOutput()
			switch {
			case err == nil && strings.Contains(string(out), "Matched per TPM bank"):
				says = "same PCR 10"
			case wrong > 0:
				says = "finds a wrong digest too"
			default:
				says = "differs"
				t.Errorf("%s: evmctl: %v %s", f.Name(), err, out)
			}
		}
		var names []string
		for _, n := range slices.Sorted(maps.Keys(templates)) {
			names = append(names, fmt.Sprintf("%s %d", n, templates[n]))
		}
		source, name, _ := strings.Cut(strings.Replace(f.Name(), "+", "/", 1), "+")
		fmt.Fprintf(&table, "| %s | %s | %s | %d | %d | %s | %s |\n", name, source, h, entries, wrong, strings.Join(names, ", "), says)
	}
	t.Logf("%d lists\n%s", len(files), table.String())
}
