package arch

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// firstSubject is the commit after which subjects follow the rule.
const firstSubject = "60b1b25"

// maxSubject is the length of a commit's subject in characters.
const maxSubject = 72

var issueNumber = regexp.MustCompile(`(?i)\bissues? #?\d|#\d`)

// badSubject says why a commit's subject breaks the rule; "" where it does not.
func badSubject(s string) string {
	switch n := utf8.RuneCountInString(s); {
	case n > maxSubject:
		return fmt.Sprintf("%d characters, %d at most", n, maxSubject)
	case issueNumber.MatchString(s):
		return "it names an issue"
	}
	return ""
}

func TestSubjects(t *testing.T) {
	require.Empty(t, badSubject("ike: a datagram is parsed once"))
	require.Empty(t, badSubject(strings.Repeat("ü", maxSubject)))
	for _, s := range []string{strings.Repeat("x", maxSubject+1), "tpm: parsers take octets (issue 11)", "tpm: Issues 3", "tpm: see #12"} {
		require.NotEmpty(t, badSubject(s), s)
	}
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = filepath.Join("..", "..")
		out, err := cmd.Output()
		return string(out), err
	}
	if _, err := git("merge-base", "--is-ancestor", firstSubject, "HEAD"); err != nil {
		t.Skip("SKIP no git history from " + firstSubject + " on is here")
	}
	out, err := git("log", "--no-merges", "--format=%h %s", firstSubject+"..HEAD")
	require.NoError(t, err)
	for line := range strings.Lines(out) {
		hash, subject, _ := strings.Cut(strings.TrimSpace(line), " ")
		if why := badSubject(subject); why != "" {
			t.Errorf("%s %q: %s", hash, subject, why)
		}
	}
}
