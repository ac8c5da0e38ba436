package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is the module as the measures look at it: without its tests.
type tree struct {
	fset *token.FileSet
	pkgs []*node // in the order of their paths
}

// node is one package of the tree.
type node struct {
	path    string // within the module; "" is the module's root
	files   []*ast.File
	imports []string // of this module, as paths within it
	types   *types.Package
	info    *types.Info
}

// find returns the package at a path; nil where there is none.
func (t *tree) find(path string) *node {
	i := slices.IndexFunc(t.pkgs, func(n *node) bool { return n.path == path })
	if i < 0 {
		return nil
	}
	return t.pkgs[i]
}

// violation is a place that breaks a measure. Its key has no numbers that change
// with every edit: the list of pending ones names it.
type violation struct{ key, detail string }

func (v violation) String() string {
	if v.detail == "" {
		return v.key
	}
	return v.key + ": " + v.detail
}

// measure is one rule over the whole module.
type measure struct {
	name  string
	check func(*tree) []violation
}

// realTree parses and type-checks the module once.
var realTree = sync.OnceValues(func() (*tree, error) {
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles, CgoFiles       []string
		Module                  *struct{ Main bool }
	}
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles,Module", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	var own []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b listed) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	t := &tree{fset: token.NewFileSet()}
	imp := importer.ForCompiler(t.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	for _, p := range own {
		n := &node{path: within(p.ImportPath)}
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(t.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			n.files = append(n.files, f)
		}
		t.add(n, imp)
	}
	return t, nil
})

// within returns the path of a package within the module.
func within(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, strings.TrimSuffix(module, "/")), "/")
}

// add type-checks a package and adds it. Errors of types are ignored: go vet
// reports them, and cgo's names are not known here.
func (t *tree) add(n *node, imp types.Importer) {
	n.info = &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	cfg := types.Config{Importer: imp, FakeImportC: true, Error: func(error) {}}
	n.types, _ = cfg.Check(module+n.path, t.fset, n.files, n.info)
	for _, f := range n.files {
		for _, i := range f.Imports {
			p := strings.Trim(i.Path.Value, `"`)
			if strings.HasPrefix(p+"/", module) && !slices.Contains(n.imports, within(p)) {
				n.imports = append(n.imports, within(p))
			}
		}
	}
	slices.Sort(n.imports)
	t.pkgs = append(t.pkgs, n)
}

// sources makes a tree of source text, by file name within the module. A package
// comes after those that it imports. Packages that are not in the tree are empty.
func sources(t *testing.T, files ...[2]string) *tree {
	t.Helper()
	tr := &tree{fset: token.NewFileSet()}
	imp := fakeImporter{}
	var order []string
	byDir := map[string][]*ast.File{}
	for _, f := range files {
		dir := path.Dir(f[0])
		if dir == "." {
			dir = ""
		}
		parsed, err := parser.ParseFile(tr.fset, f[0], f[1], parser.ParseComments)
		require.NoError(t, err)
		if byDir[dir] == nil {
			order = append(order, dir)
		}
		byDir[dir] = append(byDir[dir], parsed)
	}
	for _, dir := range order {
		n := &node{path: dir, files: byDir[dir]}
		tr.add(n, imp)
		imp[strings.TrimSuffix(module+dir, "/")] = n.types
	}
	return tr
}

// fakeImporter has the packages of a tree of source text.
type fakeImporter map[string]*types.Package

func (f fakeImporter) Import(p string) (*types.Package, error) {
	if f[p] == nil {
		f[p] = types.NewPackage(p, path.Base(p))
		f[p].MarkComplete()
	}
	return f[p], nil
}

// importName returns the name by which a file knows an import; "" where the file
// does not import it.
func importName(f *ast.File, importPath string) string {
	for _, i := range f.Imports {
		if strings.Trim(i.Path.Value, `"`) != importPath {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// isPublic reports whether other modules can import the package at the path and
// are meant to.
func isPublic(path string) bool {
	return !hasInternal(path) && !under(path, "cmd") && !under(path, "capi")
}

// hasInternal reports whether an element of the path is "internal".
func hasInternal(path string) bool { return slices.Contains(strings.Split(path, "/"), "internal") }

// isTestSupport reports whether a package is for tests and the demo: doubles, whose
// names end in "test", and what is under internal but not in internal/base.
func isTestSupport(p string) bool {
	double := strings.HasSuffix(p, "test") && path.Base(p) != "attest"
	return double || under(p, "internal") && !under(p, "internal/base") || p == demo
}

// keys returns the keys of violations.
func keys(vs []violation) (out []string) {
	for _, v := range vs {
		out = append(out, v.key)
	}
	return out
}
