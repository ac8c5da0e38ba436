package capitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example builds in C and C++ with what pkg-config says of an installation,
// and runs.
func TestExample(t *testing.T) {
	built(t)
	prefix := t.TempDir()
	for _, d := range []string{"include", "lib/gotnc", "lib/pkgconfig"} {
		require.NoError(t, os.MkdirAll(filepath.Join(prefix, d), 0o755))
	}
	copyFile := func(from, to string, change func(string) string) {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(prefix, to), []byte(change(string(b))), 0o755))
	}
	same := func(s string) string { return s }
	copyFile("../../include/tncif.h", "include/tncif.h", same)
	copyFile("../../include/tncifimc.h", "include/tncifimc.h", same)
	copyFile(libFile, "lib/gotnc/imc-attestation.so", same)
	pc := ""
	copyFile("../gotnc-imc.pc.in", "lib/pkgconfig/gotnc-imc.pc", func(s string) string {
		pc = strings.NewReplacer("@PREFIX@", prefix, "@VERSION@", "1.0").Replace(s)
		return pc
	})
	require.NotContains(t, pc, "@")
	flags, imc := []string{"-I" + prefix + "/include", "-ldl"}, prefix+"/lib/gotnc/imc-attestation.so"
	if path, err := exec.LookPath("pkg-config"); err == nil {
		ask := func(args ...string) string {
			cmd := exec.Command(path, append(args, "gotnc-imc")...)
			cmd.Env = append(os.Environ(), "PKG_CONFIG_PATH="+prefix+"/lib/pkgconfig")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			return strings.TrimSpace(string(out))
		}
		flags = strings.Fields(ask("--cflags", "--libs"))
		require.Equal(t, imc, ask("--variable=imc"))
		require.Equal(t, "1.0", ask("--modversion"))
	}
	for _, c := range [][]string{{"cc", "-x", "c", "-std=c99"}, {"c++", "-x", "c++", "-std=c++11"}} {
		t.Run(c[0], func(t *testing.T) {
			if _, err := exec.LookPath(c[0]); err != nil {
				t.Skipf("SKIP needs %s: `apt-get install g++`", c[0])
			}
			program := filepath.Join(t.TempDir(), "host")
			args := append(append(c[1:], "-Wall", "-Wextra", "-Werror", "-o", program, "../example/host.c"), flags...)
			out, err := exec.Command(c[0], args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			out, err = exec.Command(program, imc).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "IMC 1 receives messages of type 0x00559701\n")
			require.Regexp(t, `IMC 1 sends [0-9]+ octets of type 0x00000001 on connection 1\n`, string(out))
			require.Contains(t, string(out), "IF-IMC version 1, result 0\n")
		})
	}
}

var costLine = regexp.MustCompile(`(?m)^cost ([a-z_]+) ([0-9.-]+)$`)

// BenchmarkCosts prints what the library costs its host, beside strongSwan's
// module where STRONGSWAN_PREFIX has one: milliseconds from dlopen to the end of
// TNC_IMC_Initialize, KiB of resident memory added, microseconds for a
// connection with one exchange, KiB that 10,000 connections leave behind.
func BenchmarkCosts(b *testing.B) {
	if buildError != nil {
		b.Skip("SKIP needs a C compiler: `apt-get install gcc libc6-dev`")
	}
	libraries := map[string][2]string{"gotnc": {libFile, ""}}
	if prefix := os.Getenv("STRONGSWAN_PREFIX"); prefix != "" {
		libraries["strongswan"] = [2]string{prefix + "/lib/ipsec/imcvs/imc-attestation.so", prefix + "/lib/ipsec/libstrongswan.so.0"}
	}
	for name, l := range libraries {
		b.Run(name, func(b *testing.B) {
			conf := filepath.Join(b.TempDir(), "strongswan.conf")
			require.NoError(b, os.WriteFile(conf, []byte("libimcv { debug_level = 0\n stderr_quiet = yes }\n"), 0o600))
			sums := map[string]float64{}
			for b.Loop() {
				cmd := exec.Command(hostFile, l[0], "costs")
				cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
				if l[1] != "" {
					cmd.Env = append(cmd.Env, "LD_PRELOAD="+l[1])
				}
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Skipf("%s does not run in this host: %v\n%s", l[0], err, out)
				}
				for _, m := range costLine.FindAllStringSubmatch(string(out), -1) {
					v, _ := strconv.ParseFloat(m[2], 64)
					sums[m[1]] += v
				}
			}
			for k, v := range sums {
				b.ReportMetric(v/float64(b.N), k)
			}
		})
	}
}
