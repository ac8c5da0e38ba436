package capitest

import (
	"bytes"
	"context"
	"crypto/sha512"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// What TestMain built, for all tests.
var (
	buildError error
	libFile    string // imc-attestation.so
	panicFile  string // the same with the build tag gotnc_testhook
	hostFile   string // testdata/main.c
)

func TestMain(m *testing.M) {
	dlimc.ChildMain() // this program is the helper of libtnccs
	dir, err := os.MkdirTemp("", "capitest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	panicFile = filepath.Join(dir, "imc-attestation-panics.so")
	libFile, hostFile = filepath.Join(dir, "imc-attestation.so"), filepath.Join(dir, "host")
	buildError = build()
	code := m.Run()
	os.RemoveAll(dir)
	os.RemoveAll(tnccsDir)
	os.Exit(code)
}

func build() error {
	if _, err := exec.LookPath("cc"); err != nil {
		return err
	}
	versionScript, err := filepath.Abs("../attestation/exports.map")
	if err != nil {
		return err
	}
	for file, tags := range map[string]string{libFile: "", panicFile: "gotnc_testhook"} {
		lib := exec.Command("go", "build", "-buildmode=c-shared", "-tags", tags, "-ldflags",
			"-s -w -X main.version=v0.0-capitest -extldflags=-Wl,--version-script="+versionScript, "-o", file, "../attestation")
		lib.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := lib.CombinedOutput(); err != nil {
			return fmt.Errorf("go build -buildmode=c-shared: %v\n%s", err, out)
		}
	}
	return cc(append(append([]string{"-o", hostFile}, hostSources...), "-ldl", "-lpthread")...)
}

// hostSources make up the test host.
var hostSources = []string{"testdata/main.c", "testdata/host.c", "testdata/missing.c", "testdata/growth.c", "testdata/busy.c", "testdata/stub.c"}

func cc(args ...string) error {
	all := append([]string{"-Wall", "-Wextra", "-Werror", "-O1", "-g", "-I../../include"}, args...)
	if out, err := exec.Command("cc", all...).CombinedOutput(); err != nil {
		return fmt.Errorf("cc %s: %v\n%s", strings.Join(all, " "), err, out)
	}
	return nil
}

// built skips the test where there is no C compiler.
func built(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("SKIP needs a C compiler: `apt-get install gcc libc6-dev`")
	}
	require.NoError(t, buildError)
}

type run struct {
	program, input string
	library        string // default libFile
	env            []string
	conf           string            // strongswan.conf
	files          map[string]string // beside it
}

// host runs a scenario and returns its two streams.
func (r run) host(t *testing.T, scenario string) (stdout, stderr string) {
	t.Helper()
	built(t)
	conf := filepath.Join(t.TempDir(), "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, []byte(r.conf), 0o600))
	for name, text := range r.files {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(conf), name), []byte(text), 0o600))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program := r.program
	if program == "" {
		program = hostFile
	}
	library := r.library
	if library == "" {
		library = libFile
	}
	cmd := exec.CommandContext(ctx, program, library, scenario)
	cmd.Env = append(append(os.Environ(), "STRONGSWAN_CONF="+conf), r.env...)
	cmd.Stdin = strings.NewReader(r.input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	require.NoError(t, err, "scenario %s\n%s\n%s", scenario, out.String(), errs.String())
	require.True(t, strings.HasSuffix(out.String(), "done\n"), out.String())
	return out.String(), errs.String()
}

func TestScenarios(t *testing.T) {
	for _, s := range []string{"results", "reload", "fork", "threads", "reenter", "invalid", "garbage", "mute", "missing", "reload-1000", "connections", "terminate-inside"} {
		t.Run(s, func(t *testing.T) {
			out, errs := run{conf: "libimcv { debug_level = 0 }"}.host(t, s)
			if s == "reenter" {
				assert.Contains(t, out, "re-entered")
			}
			assert.NotContains(t, errs, " failed: ", "a recovered panic")
			t.Log(strings.TrimSuffix(out, "done\n"))
		})
	}
}

// A measurement that would take an hour is under way when the host deletes its
// connection, then when it ends the IMC.
func TestHostEndsWhatRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 1<<43))
	conf := "libimcv { debug_level = 0\n plugins { imc-attestation { measure_max_bytes = 100000000000000\n measure_max_seconds = 3600 } } }"
	run{input: fileRequest(file) + "\n", conf: conf}.host(t, "busy")
}

// A panic ends one connection, on the thread and in the call that it is in.
func TestPanicEndsOneConnection(t *testing.T) {
	_, errs := run{library: panicFile}.host(t, "panic")
	assert.Equal(t, 8, strings.Count(errs, "TNC_IMC_ReceiveMessageLong failed: asked for by a test"), errs)
	out, _ := run{input: negotiate + fileRequest("/gotnc-panic") + "\n"}.host(t, "exchange")
	assert.NotContains(t, out, "ReceiveMessageLong = 10", "the library that ships has no such hook")
}

// Lines and texts of OSC's extension: for wpa_supplicant, not for libtnc, whose
// function of that name would crash.
func TestLogAndUserMessages(t *testing.T) {
	german := "005597 1 01000000 01020306 00 000000 00000009 00000010 00000001 " +
		"00 000000 0000000a 0000001e 00 000000 00000002 00000005 48696c6665 02 6465 00\n"
	german = strings.Replace(german, " 00\n", "\n", 1)
	german = strings.Replace(german, "0000001e", "00000020", 1)
	german = strings.Replace(german, "00000020", fmt.Sprintf("%08x", 12+8+4+5+1+2), 1)
	out, errs := run{input: german + "\n", env: []string{"LC_ALL=de_AT.UTF-8"}}.host(t, "exchange-wpa")
	assert.Contains(t, out, `LogMessage imc=1 severity=3 [IMC] IMC 1 "Attestation" provided with bind function`)
	assert.Contains(t, out, "LogMessage imc=1 severity=3 [IMC] assessment result is 'non-compliant minor'")
	assert.Contains(t, out, "UserMessage imc=1 conn=1 Dieser Rechner erfüllt nicht alle Anforderungen des Netzes.\nHilfe\n")
	assert.NotContains(t, errs, "assessment result", "one place is enough")
	out, errs = run{input: german + "\n"}.host(t, "exchange-libtnc")
	assert.NotContains(t, out, "LogMessage")
	assert.Contains(t, errs, "assessment result")
}

func TestExportsNothingElse(t *testing.T) {
	built(t)
	require.NoError(t, buildTNCCS())
	for file, golden := range map[string]string{libFile: "../attestation/abi.golden", filepath.Join(tnccsDir, "lib/libtnccs.so"): "../tnccs/abi.golden"} {
		f, err := elf.Open(file)
		require.NoError(t, err)
		defer f.Close()
		symbols, err := f.DynamicSymbols()
		require.NoError(t, err)
		var names []string
		for _, s := range symbols {
			if s.Section != elf.SHN_UNDEF {
				names = append(names, s.Name)
			}
		}
		sort.Strings(names)
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.Equal(t, string(want), strings.Join(names, "\n")+"\n")
	}
}

func TestHeadersInCAndCPlusPlus(t *testing.T) {
	for header, c := range map[string]string{"tncif.h": "c89", "tncifimc.h": "c89", "tnccs.h": "c99"} {
		for _, c := range [][]string{{"cc", "-std=" + c, "-x", "c"}, {"c++", "-std=c++98", "-x", "c++"}} {
			t.Run(c[0]+" "+header, func(t *testing.T) {
				if _, err := exec.LookPath(c[0]); err != nil {
					t.Skipf("SKIP needs %s: `apt-get install g++`", c[0])
				}
				cmd := exec.Command(c[0], append(c[1:], "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I../../include", "-")...)
				cmd.Stdin = strings.NewReader("#include \"" + header + "\"\n#include \"" + header + "\"\n")
				out, err := cmd.CombinedOutput()
				assert.NoError(t, err, "%s", out)
			})
		}
	}
}

// A request for PTS capabilities and the algorithms SHA-1, SHA-256, SHA-384.
const negotiate = "005597 1 01000000 01020304 80 005597 01000000 00000010 0000000e 80 005597 06000000 00000010 0000e000\n"

// fileRequest asks for the measurement and the metadata of a file.
func fileRequest(path string) string {
	b := []byte{1, 0, 0, 0, 1, 2, 3, 5}
	b = append(b, 0x80, 0x00, 0x55, 0x97, 0x00, 0xC0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(12+8+len(path)))
	b = append(b, 0, 0, 0, 7, 0, 0, 0, '/')
	b = append(b, path...)
	b = append(b, 0x80, 0x00, 0x55, 0x97, 0x00, 0x70, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(12+4+len(path)))
	b = append(b, 0, '/', 0, 0)
	b = append(b, path...)
	return "005597 1 " + hex.EncodeToString(b) + "\n"
}

// sends returns the messages of type 0x005597/1 that the IMC sent.
func sends(t *testing.T, out, function string) (ms [][]byte) {
	t.Helper()
	for _, l := range strings.Split(out, "\n") {
		if strings.HasPrefix(l, function+" ") && (strings.Contains(l, " vid=005597 sub=1 ") || strings.Contains(l, " type=00559701 ")) {
			m, err := hex.DecodeString(l[strings.LastIndex(l, " ")+1:])
			require.NoError(t, err)
			ms = append(ms, m)
		}
	}
	return ms
}

// The three kinds of hosts: IF-TNCCS 2.0 in charon, 1.1 in charon, and
// wpa_supplicant with its one message an IMC and batch.
func TestMeasuresAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(file, []byte("hello\n"), 0o600))
	sum := sha512.Sum384([]byte("hello\n"))
	measured := append([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 48}, sum[:]...)
	measured = append(measured, 0, 5, 'a', '.', 't', 'x', 't')

	for scenario, function := range map[string]string{
		"exchange": "SendMessageLong", "exchange-1.1": "SendMessage", "exchange-wpa": "SendMessage",
	} {
		t.Run(scenario, func(t *testing.T) {
			out, _ := run{input: negotiate + "\n" + fileRequest(file) + "\n"}.host(t, scenario)
			ms := sends(t, out, function)
			require.Len(t, ms, 2, "one message a turn\n%s", out)
			// V without TPM, SHA-384 the strongest common one.
			assert.True(t, bytes.HasSuffix(ms[0], unhex(t, "00 005597 02000000 00000010 00000008 00 005597 07000000 00000010 00002000")), "%x", ms[0])
			assert.Contains(t, string(ms[1]), string(measured), "%x", ms[1])
			assert.NotContains(t, out, "ReceiveMessageLong = 10")
			assert.NotContains(t, out, "ReceiveMessage = 10")

			// What leaves in one batch: wpa_supplicant would lose all but the last.
			if scenario == "exchange-wpa" {
				for _, turn := range strings.Split(out, "--\n") {
					assert.LessOrEqual(t, strings.Count(turn, "SendMessage "), 1, "%s", turn)
				}
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestBindsAndAsksAsStrongSwansIMCs(t *testing.T) {
	out, _ := run{}.host(t, "exchange")
	assert.Contains(t, out, "ReportMessageTypesLong imc=1 005597/00000001")
	var asked []string
	for _, l := range strings.Split(out, "\n") {
		if a, ok := strings.CutPrefix(l, "GetAttribute imc=1 conn=1 "); ok {
			asked = append(asked, a)
		}
	}
	assert.Equal(t, []string{"0x00559703", "0x00559704", "0x00559705", "0x0055970a", "0x0055970b", "0x0055970c", "0x0055970d", "0x00559701"}, asked)
}

func TestSettings(t *testing.T) {
	// The namespace is the program's name, then libimcv.
	for _, conf := range []string{
		"libimcv { plugins { imc-attestation { hash_algorithm = sha256 } } }",
		"host { plugins { imc-attestation { hash_algorithm = sha256 } } }",
		"host { plugins { imc-attestation { hash_algorithm = sha256 } } } libimcv { plugins { imc-attestation { hash_algorithm = sha1 } } }",
	} {
		out, errs := run{input: negotiate + "\n", conf: conf}.host(t, "exchange")
		ms := sends(t, out, "SendMessageLong")
		require.Len(t, ms, 1, "%s\n%s", out, errs)
		assert.True(t, bytes.HasSuffix(ms[0], unhex(t, "00 005597 07000000 00000010 00004000")), "SHA-256 is the strongest allowed: %x", ms[0])
	}
}

func TestBrokenSettingsAreReported(t *testing.T) {
	for _, c := range []struct{ place, conf string }{
		{"strongswan.conf:1", "libimcv {\n  plugins { imc-attestation { hash_algorithm = sha1 } }\n  debug_level = 1\n"}, // where the section begins
		{"strongswan.conf:2", "libimcv { plugins { imc-attestation { hash_algorithm = sha1 } }\n = 4 }\n"},
		{"strongswan.conf:1", "x = \"unterminated\n"},
		{"included.conf:2", "libimcv { plugins { imc-attestation { hash_algorithm = sha1 } } }\ninclude included.conf\n"},
	} {
		out, errs := run{input: negotiate + "\n", conf: c.conf, files: map[string]string{"included.conf": "a = 1\nb b\n"}}.host(t, "exchange")
		assert.Equal(t, 1, strings.Count(errs, "[CFG] "), "one line: %s", errs)
		assert.Regexp(t, `\[CFG\] .*`+regexp.QuoteMeta(c.place)+": ", errs)
		ms := sends(t, out, "SendMessageLong")
		require.Len(t, ms, 1)
		assert.True(t, bytes.HasSuffix(ms[0], unhex(t, "00002000")), "the default sha384 is in force: %x", ms[0])
	}
}

// A value that is wrong is told with its line when the library is loaded, whenever
// it is needed; the default applies.
func TestWrongValuesAreReported(t *testing.T) {
	conf := "libimcv {\n plugins {\n imc-attestation {\n"
	keys := []string{"mandatory_dh_groups", "nonce_len", "os_info", "retry", "segmentation", "use_quote2", "use_version_info", "pcr_info", "pcr_padding"}
	for _, k := range keys {
		conf += k + " = perhaps\n"
	}
	conf += "}\nimc-os {\npush_info = perhaps\n}\n}\n}\n"
	_, errs := run{conf: conf}.host(t, "exchange")
	for i, k := range keys {
		assert.Regexp(t, `\[CFG\] .*strongswan\.conf:`+strconv.Itoa(4+i)+`: `+k+` = "perhaps": not `, errs)
	}
	assert.Regexp(t, `\[CFG\] .*strongswan\.conf:15: push_info = `, errs)
	assert.Equal(t, len(keys)+1, strings.Count(errs, "[CFG] "), errs)
}

func TestLogsToStandardErrorAsConfigured(t *testing.T) {
	_, errs := run{}.host(t, "exchange")
	assert.Contains(t, errs, "[IMC] IMC 1 \"Attestation\" initialized\n")
	assert.Contains(t, errs, "[LIB] gotnc imc-attestation v0.0-capitest in host\n")

	_, errs = run{conf: "libimcv { stderr_quiet = yes\n debug_level = 3 }"}.host(t, "exchange")
	assert.Empty(t, errs)

	_, errs = run{conf: "libimcv { debug_level = 0 }"}.host(t, "exchange")
	assert.Empty(t, errs)

	_, errs = run{input: negotiate + "\n", conf: "libimcv { debug_level = 3 }"}.host(t, "exchange")
	assert.Contains(t, errs, "[IMC] => 40 bytes\n[IMC]    0: 01 00 00 00 01 02 03 04 80 00 55 97 01 00 00 00  ......")
}

// In a host that runs on libstrongswan every line goes through its logger,
// with its numbers for groups and levels.
func TestLogsThroughTheHost(t *testing.T) {
	built(t)
	dir := t.TempDir()
	lib := filepath.Join(dir, "libstrongswan.so.0")
	require.NoError(t, cc("-shared", "-fPIC", "-o", lib, "testdata/libstrongswan.c"))
	program := filepath.Join(dir, "charon-systemd")
	require.NoError(t, cc(append(append([]string{"-o", program}, hostSources...), "-Wl,--no-as-needed", lib, "-Wl,-rpath,"+dir, "-ldl", "-lpthread")...))

	// charon's section counts for its relatives.
	out, errs := run{program: program, input: negotiate + "\n",
		conf: "charon { plugins { imc-attestation { hash_algorithm = sha256 } } }"}.host(t, "exchange")
	assert.Empty(t, errs)
	assert.Contains(t, out, "log IMC 1: IMC 1 \"Attestation\" initialized\n")
	assert.Contains(t, out, "log PTS ")
	assert.Contains(t, out, "log TNC ")
	// Octets go out by the host's own %B, at the level that asks for them.
	assert.Contains(t, out, "log IMC 3: => 40 bytes 01 00 00 00 01 02 03 04 80 00 55 97 01 00 00 00 00 00 00 10 00 00 00 0E ")
	assert.Contains(t, out, "log IMC 3: created PA-TNC message: => 40 bytes 01 00 00 00 ")
	assert.Contains(t, out, "log TNC 3: => 4 bytes 00 00 00 0E\n")
	ms := sends(t, out, "SendMessageLong")
	require.Len(t, ms, 1)
	assert.True(t, bytes.HasSuffix(ms[0], unhex(t, "00004000")), "%x", ms[0])
}

// Every host must take every line: wpa_supplicant is the strictest.
func TestExampleConfiguration(t *testing.T) {
	b, err := os.ReadFile("../../tnc_config.example")
	require.NoError(t, err)
	entries := 0
	for _, l := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		assert.Regexp(t, `^IM[CV] "[^"]+" /[^ \t]+\.so$`, l)
		entries++
	}
	assert.Positive(t, entries)
}
