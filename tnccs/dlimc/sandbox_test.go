//go:build cgo && linux

package dlimc

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/tnccs"
)

// escape is an IMC that tries what it should not be able to do, with the files,
// sockets and secrets that it tries it on.
type escape struct {
	Entry
	dir, secrets string
	env          []string
}

func newEscape(t *testing.T) *escape {
	t.Helper()
	dir, err := os.MkdirTemp("", "imc") // short: a Unix socket's path fits 107 octets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &escape{dir: filepath.Join(dir, "d"), secrets: filepath.Join(dir, "swanctl", "private")}
	for _, d := range []string{e.dir, e.secrets} {
		require.NoError(t, os.MkdirAll(d, 0o777))
	}
	require.NoError(t, os.Chmod(dir, 0o755))
	for _, d := range []string{e.dir, filepath.Dir(e.secrets), e.secrets} {
		require.NoError(t, os.Chmod(d, 0o777))
	}
	for name, mode := range map[string]os.FileMode{"d/file": 0o666, "d/victim": 0o666, "d/root": 0o600, "swanctl/private/key.pem": 0o644} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("content"), mode))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	so := os.Getenv("GOTNC_ESCAPE") // where there is no compiler: the library
	if so == "" {
		cc, err := exec.LookPath("cc")
		if err != nil {
			t.Skip("SKIP needs a C compiler: apt-get install gcc")
		}
		so = filepath.Join(dir, "escape.so")
		out, err := exec.Command(cc, "-shared", "-fPIC", "-O0", "-o", so, filepath.Join("testdata", "escape.c")).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	e.Entry = Entry{Name: "Escape", Path: so}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	path, err := net.Listen("unix", filepath.Join(e.dir, "socket"))
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(e.dir, "socket"), 0o777))
	abstract := fmt.Sprintf("gotnc-%d-%d", os.Getpid(), time.Now().UnixNano())
	hidden, err := net.Listen("unix", "@"+abstract)
	require.NoError(t, err)
	t.Cleanup(func() { tcp.Close(); path.Close(); hidden.Close() })
	disk := "/nonexistent"
	for _, d := range []string{"/dev/vda", "/dev/sda", "/dev/nvme0n1"} {
		if _, err := os.Stat(d); err == nil {
			disk = d
		}
	}
	e.env = append(os.Environ(), "GOTNC_TEST_DIR="+e.dir, "GOTNC_TEST_SECRETS="+e.secrets, "GOTNC_TEST_ABSTRACT="+abstract, "GOTNC_TEST_DISK="+disk,
		fmt.Sprintf("GOTNC_TEST_PORT=%d", tcp.Addr().(*net.TCPAddr).Port))
	return e
}

var tried = regexp.MustCompile(`try (.+) (\w+)\n`)

// try runs the IMC and returns what came of each attempt, and the log.
func (e *escape) try(t *testing.T, s Sandbox) (results map[string]string, l string) {
	t.Helper()
	lg, b := logger()
	s.Hidden = append(s.Hidden, e.secrets)
	imc, err := Load(e.Entry, Config{Logger: lg, Env: e.env, Sandbox: s})
	require.NoError(t, err, "%s", b)
	require.NoError(t, imc.Initialize(1, nil))
	require.NoError(t, imc.BeginHandshake(1))
	require.NoError(t, imc.Terminate())
	results = map[string]string{}
	for _, m := range tried.FindAllStringSubmatch(b.String(), -1) {
		results[m[1]] = m[2]
	}
	require.Greater(t, len(results), 50, "%s", b)
	return results, b.String()
}

// What an IMC can do at each level; all else that it tries is refused.
var (
	rights   = []string{"read own", "read root's", "access root's", "os-release", "tcp table", "write null", "abort is mine"}
	readonly = append([]string{"interfaces", "program", "code"}, rights...)
)

func TestWhatAnIMCCannotDo(t *testing.T) {
	noLeak(t)
	for level, can := range map[SandboxLevel][]string{SandboxReadonly: readonly, SandboxStrict: rights} {
		t.Run(string(level), func(t *testing.T) {
			e := newEscape(t)
			got, l := e.try(t, Sandbox{Level: level})
			e.judge(t, got, can)
			require.Regexp(t, `\[IMC\] IMC "Escape" is confined \(`+string(level)+`\): `, l)
		})
	}
}

// judge checks that the IMC can do what is in can, and nothing else.
func (e *escape) judge(t *testing.T, got map[string]string, can []string) {
	t.Helper()
	for _, name := range can {
		require.Equal(t, "done", got[name], name)
		delete(got, name)
	}
	abi := confine.LandlockABI()
	for name, r := range got {
		switch {
		case r != "done":
		case abi == 0 && os.Getuid() == 0 && (strings.HasPrefix(name, "secret") || name == "shadow" || name == "disk"):
		case abi == 0 && os.Getuid() != 0: // the files of its own user
		default:
			t.Errorf("the IMC can: %s", name)
		}
	}
	if abi == 0 {
		t.Log("this kernel has no Landlock: files that a user may read or write are within reach of its IMCs")
		return
	}
	b, err := os.ReadFile(filepath.Join(e.dir, "file"))
	require.NoError(t, err)
	require.Equal(t, "content", string(b))
	entries, err := os.ReadDir(e.dir)
	require.NoError(t, err)
	require.Len(t, entries, 4, "file, root, socket, victim")
}

// Without a sandbox it can: the attempts are real.
func TestWhatAnIMCCanDoWithoutASandbox(t *testing.T) {
	noLeak(t)
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root: run as root")
	}
	got, l := newEscape(t).try(t, Sandbox{Level: SandboxOff})
	for _, name := range []string{"create", "write", "append", "truncate", "truncating", "chmod", "utimes", "mkdir", "symlink", "mknod", "unlink", "secret", "shadow", "open_by_handle_at",
		"tcp", "udp", "unix", "abstract", "packet", "datagram pair", "ptrace", "process_vm_readv", "mem", "environ", "pidfd_getfd", "kill", "kill SIGCONT", "kill init", "tgkill",
		"dumpable", "new privileges", "setuid", "chroot", "keyctl", "shmget", "memfd", "shared memory", "code", "interfaces", "program"} {
		require.Equal(t, "done", got[name], name)
	}
	require.Contains(t, l, `[IMC] IMC "Escape" is not confined (off)`)
}

const asUser = "GOTNC_TEST_AS_USER"

// A user who is not root has no other user for the IMC: what the kernel has beside
// users does it.
func TestWhatAnIMCOfAUserCannotDo(t *testing.T) {
	if os.Getenv(asUser) != "" {
		TestWhatAnIMCCannotDo(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("SKIP runs as another user: run as root")
	}
	asNobody(t, "TestWhatAnIMCOfAUserCannotDo")
}

// asNobody runs a test of this program again, as another user than root.
func asNobody(t *testing.T, test string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), asUser+"=1", "TMPDIR=/tmp", "HOME=/nonexistent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+test)
}

// An IMC that makes processes without end does not get far, and nothing is left.
func TestForkBomb(t *testing.T) {
	noLeak(t)
	e := newEscape(t)
	lg, l := logger()
	imc, err := Load(e.Entry, Config{Logger: lg, Env: append(e.env, "GOTNC_TEST_TRY=bomb"), Sandbox: Sandbox{Processes: 40}})
	require.NoError(t, err)
	require.NoError(t, imc.Initialize(1, nil))
	if err := imc.BeginHandshake(1); err != nil { // its process may need a thread, too
		require.ErrorIs(t, err, ErrCrashed)
	} else if os.Getuid() == 0 {
		require.Regexp(t, `try bomb EAGAIN [0-9]{1,2}\n`, l.String())
	}
	require.NoError(t, imc.Terminate())
	require.Zero(t, children(t))
}

// An IMC that takes all memory loses its process; the client says why and goes on.
func TestMemoryEater(t *testing.T) {
	noLeak(t)
	e := newEscape(t)
	lg, l := logger()
	c, err := tnccs.NewClient(tnccs.Config{Logger: lg})
	require.NoError(t, err)
	require.NoError(t, Add(c, e.Entry, Config{Logger: lg, Env: append(e.env, "GOTNC_TEST_TRY=eat"), Sandbox: Sandbox{Memory: 256 << 20}}))
	s := c.NewSession()
	_, err = s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	errs := s.Outcome().IMCErrors
	require.Len(t, errs, 1, "%s", l)
	require.ErrorIs(t, errs[0], ErrCrashed)
	var memory *MemoryError
	require.ErrorAs(t, errs[0], &memory)
	require.Regexp(t, `try eat ENOMEM [12][0-9]{2}\n`, l.String())
	require.Regexp(t, `IMC 1 "Escape" is lost: the IMC crashed: its process ended \(signal SIGABRT\) with [0-9]+ MiB of memory, of which it may have 256$`, errs[0].Error())
	require.NoError(t, c.Close())
}

// A level that there is none of is no reason to confine nothing.
func TestSandboxLevelUnknown(t *testing.T) {
	noLeak(t)
	_, err := Load(buildIMC(t), Config{Sandbox: Sandbox{Level: "tight"}})
	require.ErrorIs(t, err, ErrLevel)
	require.ErrorContains(t, err, `there is no such level of Sandbox: "tight"`)
}

func TestSandboxLevels(t *testing.T) {
	e := buildIMC(t)
	require.Equal(t, SandboxReadonly, Sandbox{}.level(e))
	require.Equal(t, SandboxOff, Sandbox{Level: SandboxOff}.level(e))
	require.Equal(t, SandboxStrict, Sandbox{Level: SandboxOff, Levels: map[string]SandboxLevel{"Tiny": SandboxStrict}}.level(e))
	require.Equal(t, SandboxReadonly, Sandbox{Level: SandboxReadonly, Levels: map[string]SandboxLevel{"Other": SandboxStrict}}.level(e))
	require.Subset(t, Sandbox{Hidden: []string{"/x"}}.hidden(), []string{"/x", "/etc/ipsec.secrets", "/run/tnc"})
	for shown, path := range map[string]string{"/etc/swanctl/private/own.pem": "/etc/swanctl/private", "/run/tnc": "/run/tnc", "/etc/shado*": "/etc/shadow"} {
		require.NotContains(t, Sandbox{Shown: []string{shown}}.hidden(), path)
	}
	require.Equal(t, Sandbox{}.hidden(), Sandbox{Shown: []string{"/", "/**", "/etc", "/etc/*", "/run"}}.hidden())
}

// An IMC sees what was there when it started, beside a secret. One that would miss
// what came later is loaded again for the next session, not during one.
func TestOutdatedIMC(t *testing.T) {
	noLeak(t)
	if confine.LandlockABI() == 0 {
		t.Skip("SKIP needs Landlock: a kernel with CONFIG_SECURITY_LANDLOCK")
	}
	dir, err := os.MkdirTemp(".", "outdated") // not below /tmp, where files come and go
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	dir, err = filepath.Abs(dir)
	require.NoError(t, err)
	if strings.HasPrefix(dir, "/tmp/") || strings.HasPrefix(dir, "/home/") || strings.HasPrefix(dir, "/root/") {
		t.Skip("SKIP needs sources elsewhere than below /tmp, /home and /root")
	}
	lg, l := logger()
	c, err := tnccs.NewClient(tnccs.Config{Logger: lg})
	require.NoError(t, err)
	e := buildIMC(t)
	require.NoError(t, Add(c, e, Config{Logger: lg, Sandbox: Sandbox{Hidden: []string{filepath.Join(dir, "secret")}}}))
	session := func() *tnccs.Session {
		s := c.NewSession()
		_, err := s.Begin(0, tnccs.TransportEAP, "1.1")
		require.NoError(t, err)
		return s
	}
	open := session()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
	require.NoError(t, session().Close())
	require.NotContains(t, l.String(), "started again", "a session needs it")
	require.NoError(t, open.Close())
	require.NoError(t, session().Close())
	require.Equal(t, 1, strings.Count(l.String(), `IMC 1 "Tiny" started again`))
	require.NoError(t, session().Close())
	require.Equal(t, 1, strings.Count(l.String(), `IMC 1 "Tiny" started again`), "it is up to date")
	require.NoError(t, c.Close())
}
