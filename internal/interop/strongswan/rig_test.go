// Package strongswan runs both products against strongSwan with its TNC parts,
// through the rig (a script beside the project, which $GOTNC_RIG names). It is
// what judges wire formats: strongSwan's verifiers decide, and its own client
// with its own IMCs has the reference results.
package strongswan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/need"
)

// rig is one directory of the rig's state, with both products built.
type rig struct {
	t              *testing.T
	script, prefix string
	dir            string
	tnc, lib       string
}

var built struct{ dir, tnc, lib string }

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// newRig holds the rig's namespaces, of which there is one set, until the test ends.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := newRigFiles(t)
	lock, err := os.OpenFile(rigLock, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	t.Cleanup(func() {
		_, _ = r.rig("net-down")
		lock.Close()
	})
	return r
}

// rigLock is held by whoever uses the rig's namespaces: `flock /tmp/rig.lock`.
const rigLock = "/tmp/rig.lock"

// newRigFiles builds the products, for tests with namespaces of their own.
func newRigFiles(t *testing.T) *rig {
	t.Helper()
	need.Root(t)
	r := &rig{t: t, prefix: need.StrongSwan(t), dir: t.TempDir()}
	t.Setenv("TNC_RUN_DIR", t.TempDir()) // beside somebody's tnc up home
	r.script = os.Getenv("GOTNC_RIG")
	if r.script == "" {
		r.script, _ = filepath.Abs("../../../../shared/rig/rig")
	}
	if _, err := os.Stat(r.script); err != nil {
		t.Skipf("SKIP needs the rig: set GOTNC_RIG to its path (%v)", err)
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "tnc-rig-build")
		require.NoError(t, err)
		built.dir = dir
		cmd := exec.Command("make", "-C", "../../..", "lib", "tnc", "BUILD="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		built.tnc, built.lib = filepath.Join(dir, "tnc"), filepath.Join(dir, "imc-attestation.so")
	}
	r.tnc, r.lib = built.tnc, built.lib
	return r
}

// rig runs one command of the rig.
func (r *rig) rig(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.script, args...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_PREFIX="+r.prefix, "RIG_DIR="+r.dir)
	// The rig leaves daemons behind that inherit its output: a file, not a pipe.
	// It also runs while the test is cleaned up, when there is no t.TempDir any more.
	f, err := os.CreateTemp("", "rig")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	err = cmd.Run()
	out, _ := os.ReadFile(f.Name())
	return string(out), err
}

func (r *rig) must(args ...string) string {
	r.t.Helper()
	out, err := r.rig(args...)
	require.NoError(r.t, err, "rig %s: %s", strings.Join(args, " "), out)
	return out
}

// results are what the gateway found in its newest session, and its decision.
func (r *rig) results() (rec string, results []string) {
	r.t.Helper()
	lines := strings.Split(strings.TrimSpace(r.must("result")), "\n")
	require.GreaterOrEqual(r.t, len(lines), 3, "the gateway has a session: %v", lines)
	f := strings.SplitN(lines[1], "|", 5)
	require.Len(r.t, f, 5, lines[1])
	for _, res := range strings.Split(f[4], " | ") {
		results = append(results, strings.TrimSpace(res))
	}
	return f[3], results
}

// client runs tnc in carol's network with the rig's configuration.
func (r *rig) client(ctx context.Context, verb string, more ...string) *exec.Cmd {
	d := filepath.Join(r.dir, "client")
	args := append([]string{"netns", "exec", "carol", r.tnc, verb, "home",
		"--swanctl", filepath.Join(d, "swanctl", "swanctl.conf"),
		"--strongswan-conf", filepath.Join(d, "strongswan.conf"),
		"--tnc-config", filepath.Join(d, "tnc_config")}, more...)
	return exec.CommandContext(ctx, "ip", args...)
}

// reference is what strongSwan's own client with its own IMCs gets.
func (r *rig) reference() (rec string, results []string) {
	r.t.Helper()
	r.must("moon")
	r.must("carol")
	require.Contains(r.t, r.must("connect"), "initiate completed successfully")
	rec, results = r.results()
	r.must("stop", "carol")
	return rec, results
}

func TestAttestGetsTheSameResultsAsStrongSwan(t *testing.T) {
	for _, tls := range []string{"1.3", "1.2"} {
		t.Run("TLS "+tls, func(t *testing.T) {
			t.Setenv("RIG_TLS", tls)
			r := newRig(t)
			wantRec, want := r.reference()
			require.Equal(t, "0", wantRec, "strongSwan's client is allowed")
			r.must("moon")
			r.must("client", r.lib)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := r.client(ctx, "attest", "--json", "--dataplane", "none")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Run(), "%s%s", &stdout, &stderr)
			var out struct {
				Recommendation string `json:"recommendation"`
				Exchanges      int    `json:"exchanges"`
			}
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &out))
			require.Equal(t, "allowed", out.Recommendation)
			rec, got := r.results()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got)
			t.Logf("%d exchanges", out.Exchanges)
		})
	}
}

func TestUpCarriesAPing(t *testing.T) {
	r := newRig(t)
	r.must("moon")
	r.must("client", r.lib)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := r.client(ctx, "up", "-v", "--dataplane", "tun")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		return exec.Command("ip", "netns", "exec", "carol", "ping", "-c", "1", "-W", "1", "10.1.0.1").Run() == nil
	}, 20*time.Second, 200*time.Millisecond, "no answer through the tunnel")
	ping, err := exec.Command("ip", "netns", "exec", "carol", "ping", "-c", "20", "-i", "0.05", "10.1.0.1").CombinedOutput()
	require.NoError(t, err, "%s", ping)
	require.Contains(t, string(ping), "20 received")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s", &out)
	links, err := exec.Command("ip", "-n", "carol", "-o", "link").Output()
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^[0-9]+: tnc[0-9]`, string(links), "the TUN device is gone")
}

func TestLibraryInCharonGetsTheSameResults(t *testing.T) {
	r := newRig(t)
	wantRec, want := r.reference()
	r.must("moon")
	r.must("carol", r.lib)
	require.Contains(t, r.must("connect"), "initiate completed successfully")
	rec, got := r.results()
	require.Equal(t, wantRec, rec)
	require.ElementsMatch(t, want, got)

	// The C module's lines, word for word, are in charon's log.
	pid := strings.TrimSpace(readFile(t, filepath.Join(r.dir, "carol", "pid")))
	log := filepath.Join(r.dir, "carol", "charon.log")
	for _, line := range []string{
		"[PTS]   mandatory PTS measurement algorithm HASH_SHA1",
		`[IMC] IMC 1 "Attestation" created a state for IF-TNCCS 2.0 Connection ID 1: +long +excl -soh`,
		"[PTS] selected PTS measurement algorithm is HASH_SHA2_256",
	} {
		require.Contains(t, readFile(t, log), line)
	}
	require.NoError(t, exec.Command("kill", "-TERM", pid).Run())
	require.Eventually(t, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%s/exe", pid))
		return err != nil
	}, 10*time.Second, 50*time.Millisecond, "charon ends")
	end := readFile(t, log)
	require.Contains(t, end, `IMC 1 "Attestation" terminated`)
	require.NotContains(t, end, "killing ourself")
	out := readFile(t, filepath.Join(r.dir, "carol", "out.log"))
	require.NotContains(t, out, "panic")
	require.NotContains(t, out, "SIGSEGV")
}

func TestLibraryInEapolTest(t *testing.T) {
	r := newRig(t)
	need.Program(t, "eapol_test", "eapoltest")
	need.Program(t, "hostapd", "hostapd")
	// The rig's gateway makes /etc/tnc_config, whose metadata the policy asks for.
	r.must("moon")
	want := func() []string { _, w := r.reference(); return w }()
	r.must("db")
	conf := filepath.Join(t.TempDir(), "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, []byte("libimcv {\n debug_level = 2\n}\n"), 0o600))
	t.Setenv("STRONGSWAN_CONF", conf)
	out := r.must("eapol", r.lib)
	require.Contains(t, out, "Recommendation = allow")
	require.Contains(t, out, "SUCCESS")
	// wpa_supplicant's log has the lines, too.
	log := readFile(t, filepath.Join(r.dir, "eapol", "eapol.log"))
	for _, line := range []string{
		`[IMC] IMC 0 "Attestation" created a state for`,
		"[PTS] selected PTS measurement algorithm is HASH_SHA2_256",
		"[IMC] measurement request 4 for directory '/usr/sbin'",
	} {
		require.Contains(t, log, "TNC_9048_LogMessage(imcID=0 severity==4 message='"+line)
	}
	rec, got := r.results()
	require.Equal(t, "0", rec)
	require.Subset(t, want, got)
	require.Contains(t, got, "directory measurement correct")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// runJSON runs our client with --json in carol's network and decodes what it
// prints; the error is that of its exit code.
func (r *rig) runJSON(to any, args ...string) error {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.script, append(append([]string{"run", r.tnc}, args...), "--json")...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_PREFIX="+r.prefix, "RIG_DIR="+r.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(r.t, json.Unmarshal(stdout.Bytes(), to), "%s%s", &stdout, &stderr)
	return err
}
