package arch

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Limits of size.
const (
	maxCommandLines  = 1500 // of cmd/tnc itself
	maxFunctionLines = 80
	maxMethods       = 40 // of a type in ike
	maxFields        = 20 // of a type in ike
)

// commandSize holds cmd/tnc to what a command line needs: flags in, exit code out.
func commandSize(t *tree) []violation {
	p := t.find("cmd/tnc")
	if p == nil {
		return nil
	}
	lines := 0
	for _, f := range p.files {
		lines += t.fset.File(f.Pos()).LineCount()
	}
	if lines > maxCommandLines {
		return []violation{{"cmd/tnc", fmt.Sprintf("%d lines, %d at most", lines, maxCommandLines)}}
	}
	return nil
}

// functionSize finds functions that are too long to be read at once.
func functionSize(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		for _, f := range p.files {
			for _, d := range f.Decls {
				if n := t.lines(d); n > maxFunctionLines && isCode(d) {
					out = append(out, violation{p.path + "." + declared(d), fmt.Sprintf("%d lines, %d at most", n, maxFunctionLines)})
				}
			}
		}
	}
	return out
}

// lines returns how many lines a node takes, without its comment.
func (t *tree) lines(n ast.Node) int {
	from := n.Pos()
	if f, ok := n.(*ast.FuncDecl); ok {
		from = f.Type.Pos()
	}
	return t.fset.Position(n.End()).Line - t.fset.Position(from).Line + 1
}

// isCode reports whether a declaration holds statements: a function, or a variable
// that is one.
func isCode(d ast.Decl) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return true
	case *ast.GenDecl:
		for _, s := range d.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				continue
			}
			if _, ok := v.Values[0].(*ast.FuncLit); ok {
				return true
			}
		}
	}
	return false
}

// declared returns the name of a declaration: "Machine.Handle".
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || len(d.Recv.List) == 0 {
			return d.Name.Name
		}
		recv := types.ExprString(d.Recv.List[0].Type)
		recv, _, _ = strings.Cut(strings.TrimPrefix(recv, "*"), "[")
		return recv + "." + d.Name.Name
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok {
				return v.Names[0].Name
			}
		}
	}
	return "?"
}

// typeSize finds types of package ike that do too much. An embedded type counts as
// one field; its methods are its own.
func typeSize(t *tree) (out []violation) {
	p := t.find("ike")
	if p == nil || p.types == nil {
		return nil
	}
	scope := p.types.Scope()
	for _, name := range scope.Names() {
		o, ok := scope.Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		n, ok := o.Type().(*types.Named)
		if !ok {
			continue
		}
		fields := 0
		if s, ok := n.Underlying().(*types.Struct); ok {
			fields = s.NumFields()
		}
		if n.NumMethods() > maxMethods {
			out = append(out, violation{"ike." + name + " methods", fmt.Sprintf("%d, %d at most", n.NumMethods(), maxMethods)})
		}
		if fields > maxFields {
			out = append(out, violation{"ike." + name + " fields", fmt.Sprintf("%d, %d at most", fields, maxFields)})
		}
	}
	return out
}

func TestSizes(t *testing.T) {
	long := func(n int) string { return "{\n" + strings.Repeat("\tprintln()\n", n-2) + "}\n" }
	var methods, fields strings.Builder
	for i := range maxMethods + 1 {
		fmt.Fprintf(&methods, "func (m *Machine) m%d() {}\n", i)
	}
	for i := range maxFields {
		fmt.Fprintf(&fields, "\tf%d int\n", i)
	}
	big := "package ike\n// Machine does everything.\ntype Machine struct {\n" + fields.String() + "\tEmbedded\n}\ntype Embedded struct {\n" + fields.String() + "}\n" + methods.String()
	tr := sources(t,
		[2]string{"a/a.go", "package a\n// F is documented\n// at length.\nfunc F() " + long(80) + "func (t *T[P]) G() " + long(81) + "type T[P any] struct{}\nvar H = func() " + long(81)},
		[2]string{"cmd/tnc/main.go", "package main\n" + strings.Repeat("\n", maxCommandLines)},
		[2]string{"cmd/tnc/internal/x/x.go", "package x\n" + strings.Repeat("\n", maxCommandLines)},
		[2]string{"ike/ike.go", big})
	require.ElementsMatch(t, []string{"a.T.G", "a.H"}, keys(functionSize(tr)))
	require.Equal(t, []string{"cmd/tnc"}, keys(commandSize(tr)))
	require.ElementsMatch(t, []string{"ike.Machine methods", "ike.Machine fields"}, keys(typeSize(tr)))
}
