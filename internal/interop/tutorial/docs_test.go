package tutorial

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a how-to shows is run where it can be.
func TestHowTos(t *testing.T) {
	for _, p := range pages(t, "howto") {
		t.Run(p.name, func(t *testing.T) { follow(t, p) })
	}
}

// documents are the pages for people, by path from the module's root.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	root := checkout(t)
	found, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") && filepath.Base(filepath.Dir(path)) != "man" {
			found = append(found, path)
		}
		return err
	})
	require.NoError(t, err)
	for _, f := range found {
		rel, err := filepath.Rel(root, f)
		require.NoError(t, err)
		paths = append(paths, rel)
	}
	require.Greater(t, len(paths), 20)
	return paths
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the places in a page that a link can lead to.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		found[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// Every link leads to something, and every document is on the first page of them and
// in the site's menu.
func TestLinks(t *testing.T) {
	root := checkout(t)
	menu, err := os.ReadFile(filepath.Join(root, "mkdocs.yml"))
	require.NoError(t, err)
	first, err := os.ReadFile(filepath.Join(root, "docs/index.md"))
	require.NoError(t, err)
	for _, path := range documents(t) {
		b, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(b), ""), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			at := filepath.Join(root, path)
			if to != "" {
				at = filepath.Join(filepath.Dir(at), to)
			}
			there, err := os.ReadFile(at)
			if info, statErr := os.Stat(at); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if anchor != "" && !anchors(string(there))[anchor] {
				t.Errorf("%s links to %s: there is no such heading", path, m[1])
			}
		}
		if !strings.Contains(string(menu), " "+path+"\n") {
			t.Errorf("%s is not in the menu of mkdocs.yml", path)
		}
		if inDocs, ok := strings.CutPrefix(path, "docs/"); ok && inDocs != "index.md" && !strings.Contains(string(first), "]("+inDocs+")") {
			t.Errorf("%s is not on docs/index.md", path)
		}
	}
}

// The site is built with every warning an error.
func TestSite(t *testing.T) {
	if _, err := exec.LookPath("mkdocs"); err != nil {
		t.Skip("SKIP needs mkdocs: `apt-get install mkdocs`")
	}
	build := t.TempDir()
	out, err := exec.Command(filepath.Join(checkout(t), "dist/site.sh"), build).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, page := range []string{"index.html", "docs/index.html", "docs/tutorials/demo/index.html", "docs/pictures/chain.svg"} {
		require.FileExists(t, filepath.Join(build, "site", page))
	}
}
