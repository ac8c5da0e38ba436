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

// allowed lists, for each folder, the only folders of this module that its
// packages may import beside the floor. The longest match counts. This is the
// drawing in ARCHITECTURE.md, as data.
var allowed = []struct {
	dir string
	may []string
}{
	{"internal/base/wire", []string{""}},
	{"internal/base/log", nil},
	{"internal/base/text", nil},
	{"internal/base/ifimc", nil},
	{"internal/base/config", []string{"internal/base/config"}},
	{"internal/base/trust", nil},
	{"internal/base/credential", []string{"internal/base/config"}},
	{"cmd/tnc/internal/resolvconf", nil},
	{"cmd/tnc/internal/profile", []string{"ike", "ike/message", "ike/crypto", "ike/identity", "ike/signature", "ike/eap", "imc", "imc/imv", "tnccs",
		"internal/base/config", "internal/base/credential", "internal/base/trust"}},
	{"cmd/tnc/internal/client", []string{"cmd/tnc/internal/profile", "cmd/tnc/internal/resolvconf", "ike", "ike/crypto", "ike/eap", "ike/esp", "ike/dataplane", "ike/udp",
		"tnccs", "internal/base/config"}},
	{"cmd/tnc/internal/usage", nil},
	{"cmd/tnc/internal/aik", []string{"cmd/tnc/internal/profile", "cmd/tnc/internal/report", "cmd/tnc/internal/usage", "imc/evidence/quoter", "tpm",
		"internal/base/config", "internal/base/credential"}},
	{"cmd/tnc/internal/imclist", []string{"cmd/tnc/internal/profile", "cmd/tnc/internal/report", "tnccs"}},
	{"cmd/tnc/internal/measure", []string{"cmd/tnc/internal/usage", "imc/evidence", "imc/pts", "tpm", "internal/base/config"}},
	{"cmd/tnc/internal/demo", []string{"cmd/tnc/internal/client", "cmd/tnc/internal/profile", "cmd/tnc/internal/report", "ike", "ike/esp", "ike/dataplane", "imc/imv",
		"internal/gateway", "internal/testpki"}},
	{"cmd/tnc/internal/pttls", []string{"cmd/tnc/internal/client", "cmd/tnc/internal/profile", "cmd/tnc/internal/usage", "tnccs",
		"internal/base/config", "internal/base/credential", "internal/base/trust"}},
	{"cmd/tnc/internal/report", []string{"cmd/tnc/internal/client", "cmd/tnc/internal/profile", "cmd/tnc/internal/pttls", "cmd/tnc/internal/explain", "cmd/tnc/internal/usage",
		// whose errors it words
		"ike", "ike/crypto", "ike/dataplane", "ike/eap", "ike/esp", "ike/message", "ike/signature", "ike/udp", "imc", "tnccs", "tpm", "internal/base/config", "internal/base/credential", "internal/base/trust"}},
	{"cmd/tnc/internal/doctor", []string{"cmd/tnc/internal/profile", "cmd/tnc/internal/report", "ike/dataplane", "internal/base/config"}},
	{"cmd/tnc/internal/explain", []string{"tnccs", "tnccs/pb", "imc/patnc", "imc/pts"}},

	{"tpm/pcr", nil},
	{"tpm/attest", []string{"tpm/pcr"}},
	{"tpm/command", nil},
	{"tpm/tpm12", []string{"tpm/pcr", "tpm/attest", "tpm/command"}},
	{"tpm/tpm20", []string{"tpm/pcr", "tpm/attest", "tpm/command"}},
	{"tpm", []string{"tpm"}},
	{"tpm/tpmtest", []string{"tpm", "internal/need"}},

	{"ike/message", nil},
	{"ike/crypto", []string{"ike/message"}},
	{"ike/identity", []string{"ike/message"}},
	{"ike/signature", []string{"ike/message"}},
	{"ike/eap", []string{"ike/eap"}},
	{"ike/eap/internal/eaptest", []string{"ike/eap", "internal/testpki"}},
	{"ike/esp", []string{"ike/message"}},
	{"ike/dataplane", []string{"ike", "ike/esp"}},
	{"ike/dataplane/internal/sadb", []string{"ike", "ike/esp"}},
	{"ike/dataplane/dataplanetest", []string{"ike", "ike/crypto", "ike/message", "ike/dataplane", "ike/esp"}},
	{"ike/dataplane/memory", []string{"ike", "ike/esp", "ike/dataplane", "ike/dataplane/internal/sadb"}},
	{"ike/dataplane/tun", []string{"ike", "ike/esp", "ike/dataplane", "ike/dataplane/internal/sadb"}},
	{"ike/dataplane/xfrm", []string{"ike", "ike/esp", "ike/crypto", "ike/message", "ike/dataplane"}},
	{"ike/udp", []string{"ike", "ike/crypto", "ike/message", "ike/eap"}},
	{"ike", []string{"ike/message", "ike/crypto", "ike/identity", "ike/signature", "ike/eap"}},

	{"tnccs/pb", []string{"internal/base/ifimc"}},
	{"tnccs/xml", nil},
	{"tnccs/server", []string{"tnccs/pb", "internal/base/ifimc"}},
	{"tnccs/dlimc", []string{"tnccs"}},
	{"tnccs/pttls", []string{"tnccs/pttls"}},
	{"tnccs", []string{"tnccs/pb", "tnccs/xml", "internal/base/ifimc"}},

	{"imc/patnc", nil},
	{"imc/pts", []string{"imc/patnc", "tpm/pcr"}},
	{"imc/evidence/ima", []string{"tpm/pcr"}},
	{"imc/evidence/bios", []string{"tpm/pcr"}},
	{"imc/evidence", []string{"internal/base/config", "imc/evidence", "imc/patnc", "imc/pts", "tpm/pcr"}},
	{"imc/evidence/quoter", []string{"internal/base/config", "imc/pts", "tpm"}},
	{"imc/packages", nil},
	{"imc/measure", []string{"imc/patnc", "imc/packages", "imc/pts", "internal/base/config"}},
	{"imc/imv", []string{"imc/patnc", "imc/pts"}},
	{"imc", []string{"imc/patnc", "imc/pts", "internal/base/config", "internal/base/ifimc"}},

	{"capi/tnccs", []string{"tnccs"}},
	{"capi", []string{"capi", "imc", "internal/base/config", "tpm"}},
	{"internal/gateway", []string{"internal/gateway", "ike/message", "ike/crypto", "ike/identity", "ike/signature", "ike/eap", "ike/esp", "tnccs/pb", "tnccs/server", "imc/imv", "imc/patnc", "imc/pts"}},
}

// floor may be imported from everywhere.
var floor = []string{"internal/base/wire", "internal/base/log", "internal/base/text"}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range packages(t) {
		rule := -1
		for i, r := range allowed {
			if under(p.ImportPath, r.dir) && (rule < 0 || len(r.dir) > len(allowed[rule].dir)) {
				rule = i
			}
		}
		if rule < 0 {
			continue // cmd, tests and tools wire everything
		}
	imports:
		for _, in := range local(p) {
			for _, f := range floor {
				if in == f && p.ImportPath != f {
					continue imports
				}
			}
			for _, may := range allowed[rule].may {
				if under(in, may) && !(may == "ike" && in != "ike") && !(may == "imc" && p.ImportPath == "imc") {
					continue imports
				}
			}
			t.Errorf("%s imports %s, which ARCHITECTURE.md does not draw", p.ImportPath, in)
		}
	}
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
		if !under(p.ImportPath, "capi") && p.ImportPath != "tnccs/dlimc" {
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
	tests := []string{"internal/gateway", "internal/testpki", "internal/interop", "internal/bench", "tpm/tpmtest", "tnccs/pttls/pttlstest"}
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
