package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cycles finds folders that depend on each other. At every level a folder stands
// for itself and all below it; the package in the parent folder is a node of its
// own. The folders of internal count as siblings of the top-level folders: it is
// two floors, and not one thing.
func cycles(t *tree) (out []violation) {
	seen := map[string]bool{}
	for _, p := range t.pkgs {
		for parent := p.path; ; {
			i := strings.LastIndex(parent, "/")
			if i < 0 {
				parent = ""
			} else {
				parent = parent[:i]
			}
			if !seen[parent] && parent != "internal" {
				seen[parent] = true
				out = append(out, cyclesIn(t, parent)...)
			}
			if parent == "" {
				break
			}
		}
	}
	return out
}

// cyclesIn finds the cycles among the children of one folder.
func cyclesIn(t *tree, parent string) (out []violation) {
	edges := map[string]map[string]string{}
	for _, p := range t.pkgs {
		if !under(p.path, parent) && parent != "" {
			continue
		}
		from := child(p.path, parent)
		for _, in := range p.imports {
			if !under(in, parent) && parent != "" {
				continue
			}
			if to := child(in, parent); to != from {
				if edges[from] == nil {
					edges[from] = map[string]string{}
				}
				edges[from][to] = fmt.Sprintf("%s imports %s", p.path, in)
			}
		}
	}
	for _, c := range components(edges) {
		var why []string
		for _, a := range c {
			for _, b := range c {
				if w := edges[a][b]; w != "" {
					why = append(why, w)
				}
			}
		}
		name := parent
		if name == "" {
			name = "the module"
		}
		out = append(out, violation{fmt.Sprintf("%s: %s", name, strings.Join(c, ", ")), strings.Join(why, "; ")})
	}
	return out
}

// child returns the node of a package at the level below parent: a folder, or
// "." for the package in parent itself.
func child(path, parent string) string {
	if path == parent {
		return "."
	}
	if parent != "" {
		path = path[len(parent)+1:]
	}
	first, rest, _ := strings.Cut(path, "/")
	if parent == "" && first == "internal" {
		second, _, _ := strings.Cut(rest, "/")
		return first + "/" + second
	}
	return first
}

// components returns the sets of more than one node that reach each other.
func components(edges map[string]map[string]string) (out [][]string) {
	reach := map[string]map[string]bool{}
	for n := range edges {
		reach[n] = map[string]bool{}
		todo := []string{n}
		for len(todo) > 0 {
			for next := range edges[todo[0]] {
				if !reach[n][next] {
					reach[n][next] = true
					todo = append(todo, next)
				}
			}
			todo = todo[1:]
		}
	}
	done := map[string]bool{}
	for n := range reach {
		if done[n] || !reach[n][n] {
			continue
		}
		c := []string{}
		for m := range reach[n] {
			if reach[m][n] {
				c = append(c, m)
				done[m] = true
			}
		}
		slices.Sort(c)
		out = append(out, c)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

func TestCycles(t *testing.T) {
	good := sources(t, [2]string{"doc.go", "package gotnc"},
		[2]string{"internal/base/wire/wire.go", `package wire; import _ "github.com/gotnc/gotnc"`},
		[2]string{"ike/message/m.go", `package message; import _ "github.com/gotnc/gotnc/internal/base/wire"`},
		[2]string{"ike/ike.go", `package ike; import _ "github.com/gotnc/gotnc/ike/message"`},
		[2]string{"ike/transport/t.go", `package transport; import _ "github.com/gotnc/gotnc/ike"`},
		[2]string{"internal/gateway/g.go", `package gateway; import _ "github.com/gotnc/gotnc/ike"`})
	require.Empty(t, cycles(good))
	bad := sources(t, [2]string{"tpm/a/x/x.go", "package x"},
		[2]string{"tpm/b/b.go", `package b; import _ "github.com/gotnc/gotnc/tpm/a/x"`},
		[2]string{"tpm/a/y/y.go", `package y; import _ "github.com/gotnc/gotnc/tpm/b"`},
		[2]string{"internal/base/z.go", `package base; import _ "github.com/gotnc/gotnc/tpm/b"`},
		[2]string{"tpm/tpm.go", `package tpm; import _ "github.com/gotnc/gotnc/internal/base"`})
	require.ElementsMatch(t, []string{"the module: internal/base, tpm", "tpm: a, b"}, keys(cycles(bad)))
}
