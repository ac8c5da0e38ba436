package arch

import (
	"fmt"
	"go/ast"
	"testing"

	"github.com/stretchr/testify/require"
)

// logging finds shipped code that formats a line before it is known whether the
// level is logged: l.Info(fmt.Sprintf(…)) instead of log.Infof(l, …).
func logging(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		if isTestSupport(p.path) {
			continue
		}
		for _, f := range p.files {
			for _, d := range f.Decls {
				n, first := 0, ""
				ast.Inspect(d, func(x ast.Node) bool {
					if formats(f, x) {
						if n++; first == "" {
							first = t.position(x)
						}
					}
					return true
				})
				if n > 0 {
					out = append(out, violation{p.path + "." + declared(d), fmt.Sprintf("%d, the first at %s", n, first)})
				}
			}
		}
	}
	return out
}

// formats reports whether a node is a call of a logger's method with fmt.Sprintf.
func formats(f *ast.File, n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch method.Sel.Name {
	case "Debug", "Info", "Warn", "Error":
	default:
		return false
	}
	arg, ok := call.Args[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	sprintf, ok := arg.Fun.(*ast.SelectorExpr)
	if !ok || sprintf.Sel.Name != "Sprintf" {
		return false
	}
	x, ok := sprintf.X.(*ast.Ident)
	return ok && x.Name == importName(f, "fmt")
}

func TestLogging(t *testing.T) {
	source := `package x
import "fmt"
type T struct{}
func (t T) Info(string) {}
func (t T) Warn(string) {}
func bad(t T) { t.Info(fmt.Sprintf("%d", 1)) }
func (t T) bad() { t.Warn(fmt.Sprintf("%d", 1)); t.Info(fmt.Sprintf("%d", 1)) }
func good(t T) string { t.Info("a"); return fmt.Sprintf("%d", 1) }`
	tr := sources(t, [2]string{"ike/x.go", source}, [2]string{"internal/gateway/x.go", source}, [2]string{"tpm/tpmtest/x.go", source})
	require.Equal(t, []string{"ike.bad", "ike.T.bad"}, keys(logging(tr)))
}
