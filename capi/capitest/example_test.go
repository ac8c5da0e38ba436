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

// install runs `make install` below a prefix of the test's with files of build/;
// those that are not given are empty. It returns the prefix and what pkg-config
// says of a package, without which fallback is used.
func install(t *testing.T, files map[string]string, name, fallback string) (prefix string, flags []string, ask func(...string) string) {
	t.Helper()
	program, err := exec.LookPath("make")
	if err != nil {
		t.Skip("SKIP needs make: `apt-get install make`")
	}
	prefix = t.TempDir()
	build := t.TempDir()
	for _, file := range []string{"imc-attestation.so", "imc-attestation-stub.so", "libtnccs.so", "tnc"} {
		var b []byte
		if from := files[file]; from != "" {
			b, err = os.ReadFile(from)
			require.NoError(t, err)
		}
		require.NoError(t, os.WriteFile(filepath.Join(build, file), b, 0o755))
	}
	cmd := exec.Command(program, "-C", "../..", "install", "BUILD="+build, "PREFIX="+prefix, "DESTDIR=", "VERSION=1.0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	pc, err := os.ReadFile(filepath.Join(prefix, "lib", "pkgconfig", name+".pc"))
	require.NoError(t, err)
	require.NotContains(t, string(pc), "@")
	unit, err := os.ReadFile(filepath.Join(prefix, "lib", "systemd", "system", "tnc@.service"))
	require.NoError(t, err)
	require.Contains(t, string(unit), "ExecStart="+prefix+"/bin/tnc up")
	example, err := os.ReadFile(filepath.Join(prefix, "share", "doc", "gotnc", "tnc_config.example"))
	require.NoError(t, err)
	require.Contains(t, string(example), "\nIMC \"Attestation\" "+prefix+"/lib/gotnc/imc-attestation.so\n", "it works as it stands")
	if path, err := exec.LookPath("systemd-analyze"); err == nil {
		out, err := exec.Command(path, "verify", filepath.Join(prefix, "lib", "systemd", "system", "tnc@.service")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), "tnc@", "systemd takes every line of the unit")
		out, err = exec.Command(path, "security", "--offline=true", "--threshold=19", "--no-pager", filepath.Join(prefix, "lib", "systemd", "system", "tnc@.service")).CombinedOutput()
		require.NoError(t, err, "the unit is exposed by 2.0 or more:\n%s", out)
	}
	path, err := exec.LookPath("pkg-config")
	if err != nil {
		return prefix, strings.Fields(strings.ReplaceAll(fallback, "@PREFIX@", prefix)), nil
	}
	ask = func(args ...string) string {
		cmd := exec.Command(path, append(args, name)...)
		cmd.Env = append(os.Environ(), "PKG_CONFIG_PATH="+prefix+"/lib/pkgconfig")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	require.Equal(t, "1.0", ask("--modversion"))
	return prefix, strings.Fields(ask("--cflags", "--libs")), ask
}

// compile builds an example in a language with every warning an error.
func compile(t *testing.T, language []string, source string, flags []string) (program string) {
	t.Helper()
	if _, err := exec.LookPath(language[0]); err != nil {
		t.Skipf("SKIP needs %s: `apt-get install g++`", language[0])
	}
	program = filepath.Join(t.TempDir(), "program")
	args := append(append(language[1:], "-Wall", "-Wextra", "-Werror", "-o", program, source), flags...)
	out, err := exec.Command(language[0], args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// The example builds in C and C++ with what pkg-config says of an installation,
// and runs.
func TestExample(t *testing.T) {
	built(t)
	prefix, flags, ask := install(t, map[string]string{"imc-attestation.so": libFile}, "gotnc-imc", "-I@PREFIX@/include -ldl")
	imc := prefix + "/lib/gotnc/imc-attestation.so"
	if ask != nil {
		require.Equal(t, imc, ask("--variable=imc"))
	}
	for _, c := range [][]string{{"cc", "-pedantic", "-x", "c", "-std=c99"}, {"c++", "-pedantic", "-x", "c++", "-std=c++98"}} {
		t.Run(c[0], func(t *testing.T) {
			out, err := exec.Command(compile(t, c, "../attestation/example/host.c", flags), imc).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "IMC 1 receives messages of type 0x00559701\n")
			require.Regexp(t, `IMC 1 sends [0-9]+ octets of type 0x00000001 on connection 1\n`, string(out))
			require.Contains(t, string(out), "IF-IMC version 1, result 0\n")
		})
	}
}

// The client of libtnccs is valid C99 and C++98; installed, it finds its helper.
func TestTNCCSExample(t *testing.T) {
	s := newSite(t)
	prefix, flags, _ := install(t, map[string]string{"libtnccs.so": filepath.Join(tnccsDir, "lib/libtnccs.so")},
		"libtnccs", "-I@PREFIX@/include -L@PREFIX@/lib -ltnccs")
	helper, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Remove(prefix+"/bin/tnc"))
	require.NoError(t, os.Symlink(helper, prefix+"/bin/tnc"))
	for _, c := range [][]string{{"cc", "-pedantic", "-x", "c", "-std=c99"}, {"c++", "-pedantic", "-x", "c++", "-std=c++98"}} {
		t.Run(c[0], func(t *testing.T) {
			// -x speaks for all files that follow: not for the library.
			flags := append([]string{"-x", "none"}, flags...)
			cmd := exec.Command(compile(t, c, "../tnccs/example/client.c", flags), filepath.Join(s.dir, "one"))
			cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+prefix+"/lib")
			out, err := cmd.Output() // no server: it says its first batch
			var ee *exec.ExitError
			require.ErrorAs(t, err, &ee)
			require.Equal(t, 1, ee.ExitCode())
			require.Contains(t, string(ee.Stderr), "recommendation: none, assessment: none, state: Server Working\n")
			require.Greater(t, len(out), 100)
			require.Equal(t, []byte{2, 0, 0, 1}, out[4:8], "CDATA of PB-TNC")
		})
	}
}

var costLine = regexp.MustCompile(`(?m)^cost ([a-z_]+) ([0-9.-]+)$`)

// BenchmarkCosts prints what the library costs its host, beside strongSwan's
// module where STRONGSWAN_PREFIX has one: milliseconds from dlopen to the end of
// TNC_IMC_Initialize, KiB of resident memory added, microseconds for a
// connection with one exchange, KiB that 10,000 connections leave behind; and for
// imc-attestation-stub.so the KiB of its process.
func BenchmarkCosts(b *testing.B) {
	if buildError != nil {
		b.Skip("SKIP needs a C compiler: `apt-get install gcc libc6-dev`")
	}
	libraries := map[string][2]string{"gotnc": {libFile, ""}}
	if dir, err := stubFolder(); err == nil {
		libraries["stub"] = [2]string{filepath.Join(dir, "imc-attestation-stub.so"), ""}
	}
	if prefix := os.Getenv("STRONGSWAN_PREFIX"); prefix != "" {
		libraries["strongswan"] = [2]string{prefix + "/lib/ipsec/imcvs/imc-attestation.so", prefix + "/lib/ipsec/libstrongswan.so.0"}
	}
	for name, l := range libraries {
		b.Run(name, func(b *testing.B) {
			conf := filepath.Join(b.TempDir(), "strongswan.conf")
			require.NoError(b, os.WriteFile(conf, []byte("libimcv { load = random nonce openssl pubkey x509\n debug_level = 0\n stderr_quiet = 1 }\n"), 0o600))
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
