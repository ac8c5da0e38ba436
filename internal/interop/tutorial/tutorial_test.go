package tutorial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long one command of a page may take.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	if built.root != "" {
		os.RemoveAll(built.root)
	}
	os.Exit(code)
}

// pages are the documents of a folder of docs.
func pages(t *testing.T, folder string) (all []page) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../../docs", folder, "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		if filepath.Base(f) == "index.md" {
			continue
		}
		p, err := readPage(f)
		require.NoError(t, err)
		require.NotEmpty(t, append(p.steps, step{})[0].text+strings.Join(p.left, ""), "%s has no command that a test could run", f)
		all = append(all, p)
	}
	return all
}

// follow does what the page says, as its reader would.
func follow(t *testing.T, p page) {
	t.Helper()
	for _, why := range p.left {
		t.Logf("not run: %s", why)
	}
	if len(p.steps) == 0 {
		return
	}
	meet(t, p)
	sh := enterPage(t, p)
	if p.wants("strongswan") {
		out, code, err := sh.run(startStrongSwan, patience)
		require.NoError(t, err, out)
		require.Zero(t, code, out)
	}
	for i, s := range p.steps {
		if s.file != "" {
			s.text = "mkdir -p \"$(dirname " + s.file + ")\" && cat > " + s.file + " <<'END OF FILE'\n" + s.text + "END OF FILE\n"
		}
		out, code, err := sh.run(s.text, patience)
		require.NoError(t, err, "%s.md:%d: %s%s", p.name, s.line, s.text, out)
		looked := i+1 < len(p.steps) && strings.HasPrefix(p.steps[i+1].text, "echo $?")
		require.True(t, code == 0 || looked, "%s.md:%d: exit code %d: %s%s", p.name, s.line, code, s.text, tail(out))
		if s.want != nil && !matches(s.want, out) {
			t.Fatalf("%s.md:%d: %sprints\n%s\nand not, as the page says,\n%s", p.name, s.line, s.text, tail(out), strings.Join(s.want, "\n"))
		}
	}
}

// tail is the end of long output.
func tail(out string) string {
	lines := strings.SplitAfter(out, "\n")
	return strings.Join(lines[max(0, len(lines)-50):], "")
}

// Every command line of every tutorial does what the page says.
func TestTutorials(t *testing.T) {
	for _, p := range pages(t, "tutorials") {
		t.Run(p.name, func(t *testing.T) { follow(t, p) })
	}
}
