package strongswan

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unlike is what differs between two runs, or between two hosts.
var unlike = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`IMC [0-9]+ `), "IMC N "},
	{regexp.MustCompile(`0x[0-9a-f]{8}$`), "0xID"},
	{regexp.MustCompile(` @ 0x[0-9a-f]+$`), ""},
	{regexp.MustCompile(`\[(openssl|go|gmp|sha1|sha2)\] available`), "[X] available"},
	{regexp.MustCompile(`last boot: .* ago`), "last boot: T, N s ago"},
	{regexp.MustCompile(`(loading device certificate from '.*' failed).*`), "$1"},
}

// Lines of strongSwan's library and of its imc-os as a module of its own, and of
// its way to a TPM.
var theirsAlone = regexp.MustCompile(`(added|removed) .*(namespace|component)|"OS"|processing "/etc|TPM 2.0|TPM 1.2`)

// imcLines returns the lines of groups IMC and PTS of a charon.log, levels up to
// 3, and how often each occurs. Octets are left out, but their sizes are not.
func imcLines(t *testing.T, file string) map[string]int {
	t.Helper()
	lines := map[string]int{}
	for line := range strings.Lines(readFile(t, file)) {
		_, text, ok := strings.Cut(strings.TrimRight(line, "\n"), "[")
		if !ok || !strings.HasPrefix(text, "IMC]") && !strings.HasPrefix(text, "PTS]") || regexp.MustCompile(`^....  *[0-9]+: `).MatchString(text) {
			continue
		}
		text = "[" + text
		for _, u := range unlike {
			text = u.what.ReplaceAllString(text, u.with)
		}
		if !theirsAlone.MatchString(text) {
			lines[text]++
		}
	}
	return lines
}

// Each line that strongSwan's modules write into charon's log ours writes too,
// as often, word for word.
func TestLogAsStrongSwan(t *testing.T) {
	r := newRig(t)
	log := filepath.Join(r.dir, "carol", "charon.log")
	r.reference()
	theirs := imcLines(t, log)
	require.Greater(t, len(theirs), 30)
	r.inCharon()
	ours := imcLines(t, log)
	var missing []string
	for line, n := range theirs {
		// Both of strongSwan's modules have lines that one of ours stands for.
		if ours[line] == 0 || ours[line] < n && strings.HasPrefix(line, "[PTS]   ") {
			missing = append(missing, line)
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "%d lines of strongSwan's", len(theirs))
	t.Logf("%d different lines of strongSwan's are in our log of %d", len(theirs), len(ours))
}
