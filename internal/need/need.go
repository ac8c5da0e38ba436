// Package need states what an interoperability test needs of the machine that
// it runs on. A test whose need is not met is skipped, with the words that
// enable it; where peers must be present (CI, or root on Debian with
// GOTNC_CI set) a missing Debian package fails the test instead, so that a
// peer cannot drop out of the runs unseen.
package need

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Root skips the test unless it runs as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run `sudo make test`")
	}
}

// Program returns the path of a program that debianPackage contains: an
// absolute path, or a name that is looked up in PATH and in the sbin folders.
// Without it the test is skipped, or fails where Mandatory.
func Program(t testing.TB, program, debianPackage string) string {
	t.Helper()
	if path, ok := find(program); ok {
		return path
	}
	how := "install it"
	if Debian() {
		how = "`apt-get install " + debianPackage + "`"
	}
	if Mandatory() {
		t.Fatalf("needs %s (package %s), which must be present here (root on Debian in CI): %s or run `make peers`", program, debianPackage, how)
	}
	t.Skipf("SKIP needs %s (package %s): %s", program, debianPackage, how)
	return ""
}

// StrongSwan returns $STRONGSWAN_PREFIX: where a strongSwan is installed that
// was built with its TNC plugins, which Debian's is not. Where the variable is
// not set the test is skipped; where it names no such thing the test fails.
func StrongSwan(t testing.TB) string {
	t.Helper()
	prefix := os.Getenv("STRONGSWAN_PREFIX")
	if prefix == "" {
		t.Skip("SKIP needs strongSwan 6 with its TNC plugins: set STRONGSWAN_PREFIX to where it is installed")
	}
	for _, f := range []string{"libexec/ipsec/charon", "sbin/swanctl", "lib/ipsec/imcvs/imv-attestation.so"} {
		if _, err := os.Stat(filepath.Join(prefix, f)); err != nil {
			t.Fatalf("STRONGSWAN_PREFIX=%s holds no strongSwan with TNC: %v", prefix, err)
		}
	}
	return prefix
}

// Mandatory reports whether missing Debian peers are failures: CI or GOTNC_CI
// is set, and the test runs as root on Debian, where it could install them.
func Mandatory() bool {
	return (truth("CI") || truth("GOTNC_CI")) && os.Geteuid() == 0 && Debian()
}

// Debian reports whether the machine runs Debian or a distribution that
// declares itself like it.
func Debian() bool {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return false
	}
	defer f.Close()
	return isDebian(bufio.NewScanner(f))
}

func isDebian(s *bufio.Scanner) bool {
	for s.Scan() {
		key, value, _ := strings.Cut(s.Text(), "=")
		if key != "ID" && key != "ID_LIKE" {
			continue
		}
		for _, id := range strings.Fields(strings.Trim(value, `"'`)) {
			if id == "debian" {
				return true
			}
		}
	}
	return false
}

// find looks a program up. Users' PATH often lacks the sbin folders in which
// Debian keeps daemons.
func find(program string) (string, bool) {
	if strings.Contains(program, "/") {
		_, err := os.Stat(program)
		return program, err == nil
	}
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		path := filepath.Join(dir, program)
		if i, err := os.Stat(path); err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

func truth(name string) bool {
	v := os.Getenv(name)
	return v != "" && v != "0" && v != "false"
}
