package tutorial

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// read reads a page of the given name and text.
func read(t *testing.T, name, text string) (page, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return readPage(file)
}

func TestReadPage(t *testing.T) {
	p, err := read(t, "tutorials/one.md", "# One\n\n<!-- needs: root; program gcc gcc -->\n\nText.\n\n"+
		"```console\n$ cat <<END\n> a\n> END\na\n$ false\n$ echo $?\n1\n```\n\n"+
		"<!-- file: x/y.c -->\n```c\nint x;\n```\n\n```sh\n# a comment\nfor i in 1 2; do\n  echo $i\ndone\nls \\\n  -l\n```\n\n```text\n$ not run\n```\n")
	require.NoError(t, err)
	require.Equal(t, page{name: "one", needs: []string{"root", "program gcc gcc"}, steps: []step{
		{line: 8, text: "cat <<END\na\nEND\n", want: []string{"a"}},
		{line: 12, text: "false\n"},
		{line: 13, text: "echo $?\n", want: []string{"1"}},
		{line: 19, file: "x/y.c", text: "int x;\n"},
		{line: 24, text: "for i in 1 2; do\n  echo $i\ndone\n"},
		{line: 27, text: "ls \\\n  -l\n"},
	}}, p)
}

// No block is passed over because of how it is written.
func TestReadPageRefuses(t *testing.T) {
	for _, text := range []string{
		"```bash\nls\n```\n", "```\nls\n```\n", "```shell\nls\n```\n", "``` sh\nls\n```\n", "```sh x\nls\n```\n", "````sh\nls\n````\n",
		"```console\nls\n```\n", "```sh\nls\n", "```sh\nif true\n```\n", "```c\nint x;\n```\n",
		"- an item\n\n  ```sh\n  ls\n  ```\n", "1. An item:\n\n    <!-- not run: it needs a fleet -->\n    ```sh\n    reboot\n    ```\n",
		"<!-- not to be run: x -->\n```sh\nls\n```\n", "<!-- not run -->\n```sh\nls\n```\n",
		"<!-- not run: no reason counts -->\n```sh\nls\n```\n", "<!-- file: x -->\n\ntext\n\n```c\nint x;\n```\n",
	} {
		_, err := read(t, "tutorials/x.md", text)
		require.Error(t, err, "%q", text)
	}
	p, err := read(t, "howto/x.md", "<!-- not run: it needs a fleet -->\n```sh\nls\n```\n")
	require.NoError(t, err)
	require.Equal(t, []string{"it needs a fleet"}, p.left)
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want []string
		got  string
		ok   bool
	}{
		{[]string{"a"}, "a", true},
		{[]string{"a"}, "a\n", true},
		{[]string{"a"}, "ab", false},
		{[]string{"a"}, "a\nb", false},
		{[]string{"a", "…"}, "a\nb\nc", true},
		{[]string{"a", "…"}, "a", true},
		{[]string{"…", "c", "…"}, "a\nb\nc", true},
		{[]string{"…", "d", "…"}, "a\nb\nc", false},
		{[]string{"in … ms."}, "in 12 ms.", true},
		{[]string{"in … ms."}, "in\n12 ms.", false},
		{[]string{"a…", "", "b"}, "a b\n\nb", true},
	} {
		require.Equal(t, c.ok, matches(c.want, c.got), "%q %q", c.want, c.got)
	}
}

// The shell keeps its folder, variables, $? and what runs in the background, and says
// how each command ended.
func TestShell(t *testing.T) {
	s, err := newShell(t.TempDir(), os.Environ(), []string{"bash", "--noprofile", "--norc"})
	require.NoError(t, err)
	defer s.close()
	for _, c := range []struct {
		text, out string
		code      int
	}{
		{"x=1; mkdir d; cd d\n", "", 0},
		{"basename $PWD; echo $x >&2; false\n", "d\n1\n", 1},
		{"echo $?\n", "1\n", 0},
		{"sleep 1000 &\n", "", 0},
		{"jobs -r | wc -l; cat\n", "1\n", 0},
		{"printf x\n", "x", 0},
	} {
		out, code, err := s.run(c.text, time.Minute)
		require.NoError(t, err)
		require.Equal(t, c.out, out, c.text)
		require.Equal(t, c.code, code, c.text)
	}
	_, _, err = s.run("sleep 1000\n", 100*time.Millisecond)
	require.ErrorContains(t, err, "no end")
	e, err := newShell(t.TempDir(), os.Environ(), []string{"bash", "--noprofile", "--norc"})
	require.NoError(t, err)
	defer e.close()
	_, _, err = e.run("exit 3\n", time.Minute)
	require.ErrorContains(t, err, "ended")
}
