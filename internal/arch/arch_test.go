// Package arch holds the import rules of ARCHITECTURE.md against the code.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gotnc/gotnc/"

type pkg struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Standard   bool
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles,Standard", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
	require.Greater(t, len(all), 15, "go list found the module's packages")
	return all
}

// under reports whether path is the folder dir or lies below it.
func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func local(p pkg) (in []string) {
	for _, i := range p.Imports {
		if s, ok := strings.CutPrefix(i+"/", module); ok {
			in = append(in, strings.TrimSuffix(s, "/"))
		}
	}
	return in
}

func TestTreesNeverImportEachOther(t *testing.T) {
	trees := []string{"ike", "tnccs", "imc"}
	for _, p := range packages(t) {
		for _, from := range trees {
			if !under(p.ImportPath, from) {
				continue
			}
			for _, in := range local(p) {
				for _, to := range trees {
					if to != from && under(in, to) {
						t.Errorf("%s imports %s: the consumer declares the interface, cmd and capi adapt", p.ImportPath, in)
					}
				}
			}
		}
	}
}

// The servers' halves of EAP methods are for the gateway and for tests.
func TestPeersDoNotLinkServers(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "ike/eap/server" || under(p.ImportPath, "internal/gateway") {
			continue
		}
		for _, in := range local(p) {
			if in == "ike/eap/server" {
				t.Errorf("%s imports %s", p.ImportPath, in)
			}
		}
	}
}

func TestOnlyTheBorderUsesCgo(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.CgoFiles) == 0 {
			continue
		}
		if !under(p.ImportPath, "capi") && p.ImportPath != "tnccs/dlimc" && p.ImportPath != "internal/base/confine" {
			t.Errorf("%s imports \"C\"", p.ImportPath)
		}
	}
}

// Codecs and machines hold no socket, file, clock or goroutine of their own.
func TestCodecsAndMachinesHaveNoEffects(t *testing.T) {
	pure := []string{"internal/base/wire", "ike/message", "tnccs", "tnccs/pb", "tnccs/xml", "tnccs/server", "imc/patnc", "imc/pts", "imc"}
	for _, method := range []string{"", "/md5", "/gtc", "/mschapv2", "/eaptls", "/ttls", "/peap", "/tnc", "/server",
		"/internal/avp", "/internal/peapmsg", "/internal/tncframe", "/internal/tlsframe", "/internal/tlskind", "/internal/tlspeer"} {
		pure = append(pure, "ike/eap"+method) // all but the TLS stepper
	}
	banned := []string{"net", "os", "os/exec", "syscall", "golang.org/x/sys/unix"}
	for _, p := range packages(t) {
		for _, dir := range pure {
			if p.ImportPath != dir {
				continue
			}
			for _, in := range p.Imports {
				for _, b := range banned {
					if in == b {
						t.Errorf("%s imports %s: effects belong to the layer above", p.ImportPath, in)
					}
				}
			}
		}
	}
}

// What is made for tests reaches a shipped program through the demo only.
func TestShippedProgramsLinkNoTestCode(t *testing.T) {
	tests := []string{"internal/gateway", "internal/testpki", "internal/interop", "internal/bench", "internal/corpora", "tpm/tpmtest", "tnccs/pttls/pttlstest"}
	for _, p := range packages(t) {
		if !under(p.ImportPath, "cmd") && !under(p.ImportPath, "capi") || under(p.ImportPath, "capi/capitest") || p.ImportPath == "cmd/tnc/internal/demo" {
			continue
		}
		for _, in := range local(p) {
			for _, dir := range tests {
				if under(in, dir) {
					t.Errorf("%s imports %s, which is for tests", p.ImportPath, in)
				}
			}
		}
	}
}

// cmd/tnc itself is flags in, exit code out.
func TestCommandsAreSmall(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "cmd", "tnc", "*.go"))
	require.NoError(t, err)
	lines := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		lines += strings.Count(string(b), "\n")
	}
	require.Positive(t, lines)
	require.LessOrEqual(t, lines, 1500, "lines of cmd/tnc without its packages")
}
