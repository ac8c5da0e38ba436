package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusals are what tnc refuses on purpose though strongSwan loads it.
var refusals = []struct{ problem, reason string }{
	{`version = 1: IKEv1|keyexchange.*ikev1|version = 1`, "IKEv1"},
	{`XAuth`, "XAuth is IKEv1's"},
	{`mode = (transport|transport_proxy|beet|iptfs)|type = (transport|beet)`, "only tunnel mode"},
	{`mode = (pass|drop) is not supported beside tunnels`, "rules for packets beside tunnels"},
	{`"[^"]*" is not implemented`, "algorithms that are weak or that Go does not have"},
	{`ah_proposals|AH is not supported`, "AH"},
	{`groups cannot be checked`, "groups of a gateway cannot be checked"},
	{`mark_(in|out) = "%unique`, "unique marks are not assigned"},
	{`smartcards are not supported|certificates on tokens`, "certificates on smartcards and TPMs"},
	{`auth = eap-\w+ is not supported`, "EAP methods with a SIM card, and unknown ones"},
	{`a key in the configuration is not supported`, "keys written into ipsec.conf"},
	{`has no eap secret|there is no eap secret|there is no EAP`, "a password method without its secret cannot work"},
}

func refusedOnPurpose(problems []string) (reason string, ok bool) {
	for _, p := range problems {
		found := false
		for _, r := range refusals {
			if regexp.MustCompile(r.problem).MatchString(p) {
				reason, found = r.reason, true
			}
		}
		if !found {
			return "", false
		}
	}
	return reason, len(problems) > 0
}

// TestConfigsOfStrongSwansSuite compares every initiating host of strongSwan's
// test suite.
func TestConfigsOfStrongSwansSuite(t *testing.T) {
	suite := os.Getenv("STRONGSWAN_TESTS")
	if suite == "" {
		t.Skip("SKIP needs strongSwan's source: set STRONGSWAN_TESTS to its folder testing")
	}
	c := newComparer(t, newConfigCharon(t, "charon"))
	files, err := filepath.Glob(filepath.Join(suite, "tests/*/*/hosts/*/etc/swanctl/swanctl.conf"))
	require.NoError(t, err)
	count := map[string]int{}
	reasons := map[string]int{}
	for _, f := range files {
		host := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(f))))
		test := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(f)))))
		if !initiates(t, test, host) {
			continue
		}
		dir := t.TempDir()
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		standIns(t, dir, string(text))
		for _, o := range c.swanctl(dir) {
			kind := o.kind
			if kind == onlyTheirs {
				if reason, ok := refusedOnPurpose(o.details); ok {
					kind = "refused on purpose"
					reasons[reason]++
				}
			}
			count[kind]++
			if kind == other || kind == onlyTheirs || kind == onlyOurs {
				t.Errorf("%s %s %s: %s\n  %s", strings.TrimPrefix(test, suite+"/tests/"), host, o.name, kind, strings.Join(o.details, "\n  "))
			}
		}
		os.RemoveAll(dir)
	}
	var lines []string
	for k, n := range count {
		lines = append(lines, fmt.Sprintf("%5d %s", n, k))
	}
	for r, n := range reasons {
		lines = append(lines, fmt.Sprintf("%5d on purpose: %s", n, r))
	}
	sort.Strings(lines)
	t.Logf("connections of strongSwan's test suite:\n%s", strings.Join(lines, "\n"))
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
