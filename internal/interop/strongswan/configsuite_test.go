package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/refusals"
)

// refusedOnPurpose returns what is refused, where the table has each problem.
func refusedOnPurpose(problems []string) (what string, ok bool) {
	for _, p := range problems {
		r, ok := refusals.Of(p)
		if !ok {
			return "", false
		}
		what = r.What
	}
	return what, len(problems) > 0
}

// suiteCount counts the outcomes of strongSwan's test suite.
type suiteCount struct {
	t       *testing.T
	count   map[string]int
	refused map[string]int // by the row of the table
}

// add counts the connections of one host.
func (s *suiteCount) add(host string, all []outcome) {
	for _, o := range all {
		kind := o.kind
		if kind == onlyTheirs {
			if what, ok := refusedOnPurpose(o.details); ok {
				kind = "refused on purpose"
				s.refused[what]++
			}
		}
		s.count[kind]++
		if kind == other || kind == onlyTheirs || kind == onlyOurs {
			s.t.Errorf("%s %s: %s\n  %s", host, o.name, kind, strings.Join(o.details, "\n  "))
		}
	}
}

func (s *suiteCount) print(what string) {
	var lines []string
	for k, n := range s.count {
		lines = append(lines, fmt.Sprintf("%5d %s", n, k))
	}
	sort.Strings(lines)
	lines = append(lines, "refused on purpose:")
	for _, r := range refusals.Table {
		lines = append(lines, fmt.Sprintf("%5d %s: %s", s.refused[r.What], r.What, r.Why))
	}
	s.t.Logf("connections of strongSwan's test suite, %s:\n%s", what, strings.Join(lines, "\n"))
}

// eachHost calls f for each initiating host of strongSwan's test suite that has
// the file.
func eachHost(t *testing.T, file string, f func(host, path, text string)) {
	t.Helper()
	suite := os.Getenv("STRONGSWAN_TESTS")
	if suite == "" {
		t.Skip("SKIP needs strongSwan's source: set STRONGSWAN_TESTS to its folder testing")
	}
	files, err := filepath.Glob(filepath.Join(suite, "tests/*/*/hosts/*/etc", file))
	require.NoError(t, err)
	for _, path := range files {
		rel, err := filepath.Rel(filepath.Join(suite, "tests"), path)
		require.NoError(t, err)
		at := strings.Split(rel, "/") // ikev2/rw-cert/hosts/carol/etc/…
		if !initiates(t, filepath.Join(suite, "tests", at[0], at[1]), at[3]) {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		f(at[0]+"/"+at[1]+" "+at[3], path, addresses.Replace(string(text)))
	}
}

// addresses are what the suite's scripts put in.
var addresses = strings.NewReplacer("PH_IP_MOON", "192.168.0.1", "PH_IP_SUN", "192.168.0.2", "PH_IP_CAROL", "192.168.0.100", "PH_IP_DAVE", "192.168.0.200",
	"PH_IP_ALICE", "10.1.0.10", "PH_IP_VENUS", "10.1.0.20", "PH_IP_BOB", "10.2.0.10")

// hostAddresses decide which end of a conn is this machine.
var hostAddresses = map[string]string{"moon": "192.168.0.1", "sun": "192.168.0.2", "carol": "192.168.0.100", "dave": "192.168.0.200",
	"alice": "10.1.0.10", "venus": "10.1.0.20", "bob": "10.2.0.10"}

// TestConfigsOfStrongSwansSuite compares the swanctl.conf of every initiating host
// of strongSwan's test suite.
func TestConfigsOfStrongSwansSuite(t *testing.T) {
	if os.Getenv("STRONGSWAN_TESTS") == "" {
		t.Skip("SKIP needs strongSwan's source: set STRONGSWAN_TESTS to its folder testing")
	}
	c := newComparer(t, newConfigCharon(t, "charon"))
	n := suiteCount{t, map[string]int{}, map[string]int{}}
	eachHost(t, "swanctl/swanctl.conf", func(host, _, text string) {
		dir, err := os.MkdirTemp("", "suite")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		standIns(t, dir, text)
		n.add(host, c.swanctl(dir))
	})
	n.print("swanctl.conf")
}

// TestIPsecConfsOfStrongSwansSuite does so with ipsec.conf.
func TestIPsecConfsOfStrongSwansSuite(t *testing.T) {
	if os.Getenv("STRONGSWAN_TESTS") == "" {
		t.Skip("SKIP needs strongSwan's source: set STRONGSWAN_TESTS to its folder testing")
	}
	charon := newConfigCharon(t, "starter", "--nofork")
	c := newComparer(t, charon)
	n := suiteCount{t, map[string]int{}, map[string]int{}}
	eachHost(t, "ipsec.conf", func(host, path, text string) {
		if !strings.Contains(text, "conn ") {
			return
		}
		secrets, err := os.ReadFile(filepath.Join(filepath.Dir(path), "ipsec.secrets"))
		if err != nil {
			secrets = []byte(": RSA " + strings.Fields(host)[1] + "Key.pem\n")
		}
		charon.standInsOf(text, addresses.Replace(string(secrets)))
		_, _ = charon.run(nil, "ip", "addr", "flush", "dev", "lo", "scope", "global")
		if a := hostAddresses[strings.Fields(host)[1]]; a != "" {
			_, _ = charon.run(nil, "ip", "addr", "add", a+"/32", "dev", "lo")
		}
		n.add(host, c.ipsecConf(text))
	})
	n.print("ipsec.conf")
}

// initiates reports whether the host begins a connection in the test.
func initiates(t *testing.T, test, host string) bool {
	b, err := os.ReadFile(filepath.Join(test, "pretest.dat"))
	require.NoError(t, err)
	more, _ := os.ReadFile(filepath.Join(test, "evaltest.dat"))
	for _, line := range strings.Split(string(b)+string(more), "\n") {
		if strings.HasPrefix(line, host+"::") && (strings.Contains(line, "--initiate") || strings.Contains(line, "ipsec up") || strings.Contains(line, "ping") || strings.Contains(line, "--install")) {
			return true
		}
	}
	return false
}
