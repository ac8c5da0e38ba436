package imccheck

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// system is a machine below a folder.
type system struct {
	t    *testing.T
	root string
}

func (s system) write(path, text string) {
	s.t.Helper()
	file := filepath.Join(s.root, path)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o755))
}

// compile makes an ELF file of C source.
func (s system) compile(path, source string, args ...string) {
	s.t.Helper()
	file := filepath.Join(s.root, path)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
	cmd := exec.Command(need.Program(s.t, "cc", "gcc"), append(append([]string{"-o", file, "-x", "c", "-"}, args...), "-w")...)
	cmd.Stdin = strings.NewReader(source)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}

const (
	imcSource = "int TNC_IMC_Initialize, TNC_IMC_BeginHandshake, TNC_IMC_ProvideBindFunction; int puts(const char *); int f(void) { return puts(\"\"); }"
	library   = "/usr/local/lib/gotnc/imc-attestation.so"
	charon    = "/usr/lib/ipsec/charon"
	plugins   = "/usr/lib/ipsec/plugins/libstrongswan-"
)

// newSystem is a machine with a charon that loads IMCs, and an IMC.
func newSystem(t *testing.T) system {
	s := system{t, t.TempDir()}
	s.compile(charon, "int main(void) { return 0; }")
	s.compile(library, imcSource, "-shared", "-fPIC")
	for _, p := range []string{"tnc-imc", "tnc-tnccs", "tnccs-20", "eap-tnc", "eap-ttls"} {
		s.write(plugins+p+".so", "")
	}
	return s
}

func (s system) check(conf string, entries ...dlimc.Entry) Report {
	s.t.Helper()
	cfg, err := config.Parse("strongswan.conf", conf)
	require.NoError(s.t, err)
	if entries == nil {
		entries = []dlimc.Entry{{Name: "Attestation", Path: library, Line: 1}}
	}
	return Check(Config{Root: s.root, Strongswan: cfg, TNCConfig: "/etc/tnc_config", Entries: entries})
}

// says returns the findings of a kind.
func says(r Report, kind profile.Kind) string {
	var out []string
	for _, f := range r.Findings {
		if f.Kind == kind {
			out = append(out, f.Text+" ["+f.Remedy+"]")
		}
	}
	return strings.Join(out, "\n")
}

func TestGoodSystem(t *testing.T) {
	r := newSystem(t).check("")
	require.True(t, r.Loads, says(r, profile.Error))
	require.Len(t, r.Charons, 1)
	require.Equal(t, charon, r.Charons[0].Path)
	require.Equal(t, "glibc", r.Charons[0].Libc)
	require.Equal(t, r.Charons[0].Machine, r.Entries[0].Machine)
	require.Nil(t, r.Charons[0].AppArmor)
	require.Contains(t, says(r, profile.OK), "has the plugins that load IMCs")
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"loads":true,"charons":[{"path":"/usr/lib/ipsec/charon","running":false,"libc":"glibc"`)
}

// Each thing that keeps a charon from loading an IMC, by itself.
func TestWhatKeepsItFromLoading(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s system)
		conf   string
		says   string
	}{
		"Debian's plugins": {func(s system) {
			require.NoError(s.t, os.Remove(filepath.Join(s.root, plugins+"tnc-imc.so")))
			require.NoError(s.t, os.Remove(filepath.Join(s.root, plugins+"tnccs-20.so")))
		}, "", "loads no IMC: it lacks the plugins tnc-imc, tnccs-20, as Debian's does [build strongSwan with --enable-tnc-imc"},
		"another plugin": {func(s system) { require.NoError(s.t, os.Remove(filepath.Join(s.root, plugins+"eap-tnc.so"))) }, "",
			"lacks the plugins eap-tnc [install or build them: --enable-eap-tnc]"},
		"load_modular":  {nil, "charon { load_modular = yes \n plugins { tnc-imc { load = no } tnc-tnccs { load = yes } tnccs-20 { load = 3 } eap-tnc { load = yes } eap-ttls { load = yes } } }", "does not load the plugin tnc-imc: charon.load_modular is on"},
		"load":          {nil, "charon { load = tnc-tnccs tnccs-20 eap-tnc eap-ttls! }", "does not load the plugin tnc-imc: it is not in charon.load"},
		"no charon":     {func(s system) { require.NoError(s.t, os.Remove(filepath.Join(s.root, charon))) }, "", "no charon is on this machine"},
		"no library":    {func(s system) { require.NoError(s.t, os.Remove(filepath.Join(s.root, library))) }, "", "line 1: " + library + " is not there"},
		"no ELF":        {func(s system) { s.write(library, "#!/bin/sh\n") }, "", "line 1: " + library + " is no library"},
		"no IMC":        {func(s system) { s.compile(library, "int TNC_IMC_Initialize;", "-shared", "-fPIC") }, "", "is no IMC: it lacks TNC_IMC_BeginHandshake, TNC_IMC_ProvideBindFunction"},
		"musl's charon": {func(s system) { patch(s, charon, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1") }, "", "it is linked against glibc, and the program against musl"},
		"architecture":  {func(s system) { patch(s, library, "\x7fELF", "\x7fELF"); machine(s, library, 183) }, "", "it is for aarch64, and the program for x86_64"},
		"not readable":  {func(s system) { require.NoError(s.t, os.Chmod(filepath.Join(s.root, library), 0o100)) }, "", "nobody may read " + library},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "not readable" {
				need.Root(t)
			}
			s := newSystem(t)
			if c.change != nil {
				c.change(s)
			}
			r := s.check(c.conf)
			require.False(t, r.Loads)
			require.Contains(t, says(r, profile.Error), c.says)
			ofLibrary := strings.HasPrefix(c.says, "line") || strings.Contains(c.says, "no IMC: it lacks TNC") || strings.HasPrefix(c.says, "no")
			require.Equal(t, ofLibrary, len(r.OfCharon()) == 0, "what doctor says")
		})
	}
}

// patch replaces octets of a file, and fills up with NUL.
func patch(s system, path, from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.root, path))
	require.NoError(s.t, err)
	if !bytes.Contains(b, []byte(from)) {
		s.t.Skip("SKIP needs a compiler for x86-64")
	}
	b = bytes.Replace(b, []byte(from), append([]byte(to), make([]byte, len(from)-len(to))...), 1)
	s.write(path, string(b))
}

// machine sets e_machine of an ELF file.
func machine(s system, path string, m byte) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.root, path))
	require.NoError(s.t, err)
	b[18], b[19] = m, 0
	s.write(path, string(b))
}

// The stub needs a program, and AppArmor's leave to start it.
func TestStubNeedsItsProgram(t *testing.T) {
	s := newSystem(t)
	s.compile(library, imcSource+`const char *v = "GOTNC_IMC_HOST=stub-1";`, "-shared", "-fPIC")
	r := s.check("")
	require.True(t, r.Entries[0].Stub)
	require.Contains(t, says(r, profile.Error), "finds no program tnc to start")
	s.write("/usr/local/bin/tnc", "")
	r = s.check("")
	require.True(t, r.Loads, says(r, profile.Error))
	require.Contains(t, says(r, profile.OK), library+" starts /usr/local/bin/tnc")
	patch(s, charon, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")
	require.True(t, s.check("").Loads, "the stub runs under musl")
}

// policyOf writes a profile with what profiles of distributions have.
func (s system) policyOf(rules string) {
	s.write("/sys/module/apparmor/parameters/enabled", "Y\n")
	s.write("/sys/kernel/security/apparmor/profiles", "other (complain)\n/usr/lib/ipsec/charon (enforce)\n")
	s.write("/etc/apparmor.d/tunables/global", "@{multiarch}=*-linux-gnu*\n@{etc}=/etc/ /usr/etc/\n")
	s.write("/etc/apparmor.d/abstractions/base", "  /{usr/,}lib/@{multiarch}/**.so*   mr,\n")
	s.write("/etc/apparmor.d/usr.bin.other", "/usr/bin/other {\n  /** rwmix,\n}\n")
	s.write("/etc/apparmor.d/usr.lib.ipsec.charon", `# a comment {
#include <tunables/global>
/usr/lib/ipsec/charon flags=(attach_disconnected) {
  #include <abstractions/base>
  capability net_admin,
  network raw,
  @{etc}/tnc_config           r,
  /usr/lib/ipsec/imcvs/**   rm,
`+rules+`
  profile child {
    /usr/local/** rmix,
  }
  #include if exists <local/usr.lib.ipsec.charon>
}
`)
}

func TestAppArmor(t *testing.T) {
	s := newSystem(t)
	s.policyOf("")
	r := s.check("")
	require.False(t, r.Loads)
	require.Equal(t, "enforce", r.Charons[0].AppArmor.Mode)
	require.Contains(t, says(r, profile.Error), "the AppArmor profile /etc/apparmor.d/usr.lib.ipsec.charon (enforce) does not let /usr/lib/ipsec/charon load "+library+
		" [append /usr/share/doc/gotnc/apparmor/charon to /etc/apparmor.d/local/usr.lib.ipsec.charon, then: apparmor_parser -r /etc/apparmor.d/usr.lib.ipsec.charon]")

	at := func(path string) Report { // the library at another place
		s.compile(path, imcSource, "-shared", "-fPIC")
		return s.check("", dlimc.Entry{Name: "A", Path: path, Line: 1})
	}
	r = at("/usr/lib/x86_64-linux-gnu/gotnc/imc-attestation.so")
	require.True(t, r.Loads, "as abstractions/base says: %s", says(r, profile.Error))
	require.True(t, at("/usr/lib/ipsec/imcvs/imc.so").Loads)
	s.policyOf("  deny /usr/lib/ipsec/imcvs/imc.so m,")
	require.False(t, at("/usr/lib/ipsec/imcvs/imc.so").Loads, "deny overrules")
	s.write("/etc/apparmor.d/local/usr.lib.ipsec.charon", "  /opt/{a,b}/?[x-z].so rm,\n")
	require.True(t, at("/opt/b/1y.so").Loads)
	require.False(t, at("/opt/b/1a.so").Loads)

	s.write("/sys/kernel/security/apparmor/profiles", "/usr/lib/ipsec/charon (complain)\n")
	require.True(t, at("/opt/b/1a.so").Loads)
	s.write("/sys/module/apparmor/parameters/enabled", "N\n")
	r = at("/opt/b/1a.so")
	require.True(t, r.Loads)
	require.Equal(t, "off", r.Charons[0].AppArmor.Mode)
	require.Contains(t, says(r, profile.Note), "does not let")
}

// The snippet of dist/apparmor makes Debian's profile permit both libraries, and
// apparmor_parser takes it.
func TestSnippet(t *testing.T) {
	rules, err := os.ReadFile("../../../../dist/apparmor/charon")
	require.NoError(t, err)
	s := newSystem(t)
	s.policyOf("")
	s.compile("/usr/local/lib/gotnc/imc-attestation-stub.so", imcSource+`const char *v = "GOTNC_IMC_HOST=stub-1";`, "-shared", "-fPIC")
	s.write("/usr/local/bin/tnc", "")
	both := []dlimc.Entry{{Name: "A", Path: library, Line: 1}, {Name: "B", Path: "/usr/local/lib/gotnc/imc-attestation-stub.so", Line: 2}}
	require.False(t, s.check("", both...).Loads)
	s.write("/etc/apparmor.d/local/usr.lib.ipsec.charon", string(rules))
	r := s.check("", both...)
	require.True(t, r.Loads, says(r, profile.Error))

	// make peers unpacks it: the package would confine the machine.
	parser, theirs := "/var/cache/gotnc/unpacked/apparmor/sbin/apparmor_parser", "/var/cache/gotnc/unpacked/apparmor/etc/apparmor.d"
	if _, err := os.Stat(parser); err != nil {
		parser, theirs = need.Program(t, "apparmor_parser", "apparmor"), "/etc/apparmor.d"
	}
	base := filepath.Join(t.TempDir(), "apparmor.d")
	require.NoError(t, os.CopyFS(base, os.DirFS(theirs)))
	file := filepath.Join(base, "usr.lib.ipsec.charon")
	require.NoError(t, os.WriteFile(file, []byte("#include <tunables/global>\n/usr/lib/ipsec/charon {\n  #include <abstractions/base>\n"+string(rules)+"}\n"), 0o600))
	out, err := exec.Command(parser, "-Q", "-K", "--base", base, file).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
