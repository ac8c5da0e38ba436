package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/imccheck"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imclist"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// imc check looks at what --charon names; the checks are tested where they are.
func TestIMCCheck(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, nil, 0o600))
	list := filepath.Join(dir, "tnc_config")
	require.NoError(t, os.WriteFile(list, []byte("IMC \"Attestation\" "+library+"\n"), 0o600))
	args := []string{"imc", "check", list, "--strongswan-conf", conf}
	stdout, stderr, code := runTNC(t, append(args, "--charon", dir+"/charon")...)
	require.Equal(t, report.ExitFailure, code)
	require.Contains(t, stdout, "no charon is on this machine\n")
	oneSentence(t, stderr, "strongSwan would not load all of "+list)

	program, err := os.Executable()
	require.NoError(t, err)
	stdout, _, code = runTNC(t, append(args, "--charon", program, "--json")...)
	var got imccheck.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, report.ExitAllowed, code)
	require.True(t, got.Loads)
	require.Equal(t, program, got.Charons[0].Path)
	require.True(t, got.Entries[0].Go)
	require.Contains(t, stdout, "whether it loads IMCs is not known")

	require.NoError(t, os.WriteFile(list, []byte("IMC bad\n"), 0o600))
	stdout, _, code = runTNC(t, append(args, "--charon", program)...)
	require.Equal(t, report.ExitFailure, code)
	require.Contains(t, stdout, "double quotes")
	_, _, code = runTNC(t, append(args, "two")...)
	require.Equal(t, report.ExitUsage, code)
}

func TestIMCList(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, []byte("charon {\n}\n"), 0o600))
	list := filepath.Join(dir, "tnc_config")
	write := func(s string) { require.NoError(t, os.WriteFile(list, []byte(s), 0o600)) }
	args := []string{"imc", "list", "--strongswan-conf", conf, "--tnc-config", list}

	write("# comment\nIMV \"x\" /x.so\nIMC \"Attestation\" " + library + "\n")
	stdout, stderr, code := runTNC(t, args...)
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.Contains(t, stdout, `IMC "Attestation"`)
	require.Contains(t, stdout, library)
	require.Contains(t, stdout, "'TCG/PTS' 0x005597/0x00000001, 'IETF/Operating System' 0x000000/0x00000001")
	require.Contains(t, stdout, "version 1 (1.3, long message types)")

	write("IMC \"Attestation\" " + library + "\nIMC \"Gone\" " + dir + "/gone.so\nIMC \"Text\" " + list + "\nIMC bad\n")
	stdout, stderr, code = runTNC(t, append(args, "--json")...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "3 of 4 entries", list)
	var got []imclist.Entry
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Len(t, got, 4)
	require.Equal(t, []int{1, 2, 3, 4}, []int{got[0].Line, got[1].Line, got[2].Line, got[3].Line})
	require.Len(t, got[0].Types, 3)
	require.EqualValues(t, 1, got[0].Version)
	require.True(t, got[0].Long)
	require.Contains(t, got[1].Error, "file not found")
	require.Contains(t, got[2].Error, "not a shared library")
	require.Contains(t, got[3].Error, "double quotes")

	write("")
	_, stderr, code = runTNC(t, args...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, list+" names no IMC", "add a line IMC")
	require.NoError(t, os.Remove(list))
	_, stderr, code = runTNC(t, args...)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, list+" does not exist")
	_, _, code = runTNC(t, "imc", "what")
	require.Equal(t, report.ExitUsage, code)
	_, _, code = runTNC(t, "imc")
	require.Equal(t, report.ExitUsage, code)
	noChildren(t)
}

// C libraries: one of an older IF-IMC, and what is wrong with others.
func TestIMCListOfForeignIMCs(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	dir := t.TempDir()
	list, conf := filepath.Join(dir, "tnc_config"), filepath.Join(dir, "strongswan.conf")
	// Even where connections load IMCs in process, the list does not.
	require.NoError(t, os.WriteFile(conf, []byte("charon { plugins { tnc-imc { in_process = yes } } }\n"), 0o600))
	var lines strings.Builder
	want := map[string]string{
		"SHORT":         "version 1 (1.2 or older, short message types only)",
		"REFUSE":        "FAILS     IMC refused to start: TNC_IMC_Initialize returned 3 (no common version)",
		"BAD_VERSION":   "FAILS     IMC refused to start: TNC_IMC_Initialize chose version 2 of IF-IMC, where only 1 was offered",
		"NO_INITIALIZE": "FAILS     not an IMC: it has no function TNC_IMC_Initialize, so it is no IMC",
		"CRASH_INIT":    "FAILS     the IMC crashed: its process ended (signal SIGABRT)",
	}
	for macro := range want {
		so := buildIMC(t, macro)
		lines.WriteString("IMC \"" + macro + "\" " + so + "\n")
	}
	require.NoError(t, os.WriteFile(list, []byte(lines.String()), 0o600))
	stdout, stderr, code := runTNC(t, "imc", "list", "--strongswan-conf", conf, "--tnc-config", list)
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "4 of 5 entries", list)
	for macro, text := range want {
		_, after, ok := strings.Cut(stdout, "IMC \""+macro+"\"")
		require.True(t, ok, stdout)
		require.Contains(t, strings.Split(after, "tnc_config:")[0], text)
	}
	noChildren(t)
}

// buildIMC compiles the IMC of C whose behaviour a macro chooses, and returns its file.
func buildIMC(t *testing.T, macro string) string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	so := filepath.Join(t.TempDir(), macro+".so")
	out, err := exec.Command("cc", "-shared", "-fPIC", "-pthread", "-D"+macro, "-o", so, "../../tnccs/dlimc/testdata/imc.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return so
}

func TestExplain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "motd\x1b[2J")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		c.Policy = imv.Policy{Files: map[string]string{file: "", "/nonexistent/file": ""}, OnMismatch: imv.Allow}
	})
	stdout, stderr, code := s.attest("--explain")
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.Contains(t, stdout, "asked by")
	require.Regexp(t, `IMV [0-9]+ of PTS +the digest of \S*motd \[2J +Attestation +1 digest: motd`, stdout)
	require.Regexp(t, `the digest of /nonexistent/file +Attestation +`, stdout)
	require.NotContains(t, stdout, "\x1b")
	require.Regexp(t, `name and maker of the operating system +Attestation`, stdout)

	stdout, stderr, code = s.attest("--explain", "--json")
	require.Equal(t, report.ExitAllowed, code, stderr)
	var out report.Outcome
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.NotEmpty(t, out.Explained)

	stdout, _, _ = s.attest()
	require.NotContains(t, stdout, "asked by")
}

func TestTNCProtocolOfTheGatewayMustFit(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Phase2 = []string{gateway.MethodMD5, gateway.MethodTNC} })
	s.write("strongswan.conf", "charon {\n  port = 0\n  port_nat_t = 0\n  retransmit_timeout = 0.3\n  retransmit_tries = 1\n  plugins {\n    eap-tnc {\n      protocol = tnccs-1.1\n    }\n  }\n}\n")
	_, stderr, code := s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "tnccs-2.0", "tnccs-1.1")
	s.replace("strongswan.conf", "tnccs-1.1", "tnccs-9")
	_, stderr, code = s.attest()
	require.Equal(t, report.ExitFailure, code)
	oneSentence(t, stderr, "tnccs-9", "tnccs-dynamic")
}

// An IMC that crashes, hangs, ends or sends garbage costs its own answers only.
func TestIMCsThatMisbehave(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	for macro, says := range map[string]string{"CRASH": "SIGSEGV", "EXIT": "exit status 7", "HANG": "no return from TNC_IMC_BeginHandshake within 1s", "GARBAGE": "", "THREAD": ""} {
		t.Run(macro, func(t *testing.T) {
			so := buildIMC(t, macro)
			s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Files = map[string]string{file: ""} })
			s.write("tnc_config", "IMC \"Tiny\" "+so+"\nIMC \"Attestation\" "+library+"\n")
			s.write("strongswan.conf", "charon {\n  port = 0\n  port_nat_t = 0\n  plugins {\n    tnc-imc {\n      call_timeout = 1s\n    }\n  }\n}\n")
			stdout, stderr, code := s.attest()
			require.Equal(t, report.ExitAllowed, code, stderr)
			require.Contains(t, stdout, "access allowed")
			if says != "" {
				require.Contains(t, stderr, `IMC 1 "Tiny" is lost`)
				require.Contains(t, stderr, says)
			}
		})
	}
}

func TestIMCsInProcess(t *testing.T) {
	so := buildIMC(t, "SHORT") // of C: one of Go would stay in the process of the tests
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = imv.Allow })
	s.write("tnc_config", "IMC \"Tiny\" "+so+"\n")
	s.write("strongswan.conf", "charon {\n  port = 0\n  port_nat_t = 0\n  plugins {\n    tnc-imc {\n      in_process = yes\n    }\n  }\n}\n")
	stdout, stderr, code := s.attest("--json")
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.Contains(t, stdout, `"Tiny"`)
}
