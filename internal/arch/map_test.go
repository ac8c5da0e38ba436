package arch

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawn is the map of ARCHITECTURE.md: for each folder what its packages import.
// A target with "/…" stands for the folder and everything below it.
type drawn struct {
	from string
	to   []string
}

var arrow = regexp.MustCompile(`^\s*(\S+)\s+→\s*(.*)$`)

// readMap reads the arrows of the page's first block of text that has any.
func readMap(page string) (arrows []drawn) {
	for _, line := range strings.Split(page, "\n") {
		if m := arrow.FindStringSubmatch(line); m != nil {
			arrows = append(arrows, drawn{m[1], strings.Fields(m[2])})
		} else if len(arrows) > 0 && strings.HasPrefix(line, "                ") { // goes on
			last := &arrows[len(arrows)-1]
			last.to = append(last.to, strings.Fields(line)...)
		} else if len(arrows) > 0 && strings.HasPrefix(line, "```") {
			break
		}
	}
	return arrows
}

// leads reports whether a target of an arrow names a folder.
func leads(target, folder string) bool {
	if dir, ok := strings.CutSuffix(target, "/…"); ok {
		return under(folder, dir)
	}
	return target == folder
}

// floors may be imported from everywhere; the map does not draw them.
var floors = []string{"", "internal/base/wire", "internal/base/log", "internal/base/text"}

// offTheMap are tests, tools and examples, which put everything together.
var offTheMap = []string{"internal/arch", "internal/bench", "internal/corpora", "internal/interop", "internal/testsummary", "internal/need", "internal/pictures", "docs/examples", "dist", "capi/capitest", "ike/eap/internal/eaptest"}

func onMap(path string) bool {
	return !slices.Contains(floors, path) && !slices.ContainsFunc(offTheMap, func(dir string) bool { return under(path, dir) })
}

// mapViolations compares the map with the imports: each import has an arrow, each
// arrow an import, each package a folder.
func mapViolations(arrows []drawn, tr *tree) (vs []violation) {
	roomOf := func(path string) (best *drawn) {
		for i := range arrows {
			if a := &arrows[i]; under(path, a.from) && (best == nil || len(a.from) > len(best.from)) {
				best = a
			}
		}
		return best
	}
	used := map[string]bool{}
	for _, n := range tr.pkgs {
		if !onMap(n.path) {
			continue
		}
		room := roomOf(n.path)
		if room == nil {
			vs = append(vs, violation{n.path + " is not on the map", ""})
			continue
		}
		for _, in := range n.imports {
			if !onMap(in) {
				continue
			}
			to := in
			if r := roomOf(in); r != nil {
				to = r.from
			}
			if to == room.from {
				continue
			}
			i := slices.IndexFunc(room.to, func(target string) bool { return leads(target, to) })
			if i < 0 {
				vs = append(vs, violation{room.from + " → " + to + " is not drawn", n.path + " imports " + in})
				continue
			}
			used[room.from+" → "+room.to[i]] = true
		}
	}
	for _, a := range arrows {
		for _, target := range a.to {
			if !used[a.from+" → "+target] {
				vs = append(vs, violation{a.from + " → " + target + " is drawn, and nothing imports it", ""})
			}
		}
	}
	return vs
}

// The map of ARCHITECTURE.md is the house.
func TestMapIsTheHouse(t *testing.T) {
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	require.NoError(t, err)
	arrows := readMap(string(page))
	require.Greater(t, len(arrows), 20, "the page draws a map")
	tr, err := realTree()
	require.NoError(t, err)
	for _, v := range mapViolations(arrows, tr) {
		t.Error(v)
	}
}

func TestMapBites(t *testing.T) {
	arrows := readMap("text\n```\nupper floor\n  a   → b\n                c/…\n  b   →\n  c   →\n```\n  d → a\n")
	require.Equal(t, []drawn{{"a", []string{"b", "c/…"}}, {"b", []string{}}, {"c", []string{}}}, arrows)
	tr := &tree{pkgs: []*node{{path: "a", imports: []string{"c/deep", "internal/base/log"}}, {path: "b", imports: []string{"a"}}, {path: "c/deep"}, {path: "x"}}}
	var keys []string
	for _, v := range mapViolations(arrows, tr) {
		keys = append(keys, v.key)
	}
	require.Equal(t, []string{"b → a is not drawn", "x is not on the map", "a → b is drawn, and nothing imports it"}, keys)
}
