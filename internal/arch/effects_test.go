package arch

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// isMachine reports whether a package is one of the machines: it computes outputs
// and deadlines and has no effects. The TLS stepper, which runs crypto/tls in a
// goroutine, is the one exception.
func isMachine(p string) bool {
	switch p {
	case "ike", "ike/crypto", "tnccs", "imc", "imc/pts":
		return true
	}
	return under(p, "ike/eap") && path.Base(p) != "tlsstep" && !isTestSupport(p)
}

// clocks are the functions that read or wait for the clock, by package.
var clocks = map[string][]string{
	"time":    {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"},
	"context": {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
}

// effects finds sockets, files, system calls, goroutines and clocks in machines.
func effects(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		if !isMachine(p.path) {
			continue
		}
		found := map[string]string{}
		for _, f := range p.files {
			for _, i := range f.Imports {
				if in := strings.Trim(i.Path.Value, `"`); isEffect(in) {
					found["imports "+in] = t.position(i)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					found["starts a goroutine"] = t.position(n)
				case *ast.SelectorExpr:
					if name := clock(f, n); name != "" {
						found["uses "+name] = t.position(n)
					}
				}
				return true
			})
		}
		for what, at := range found {
			out = append(out, violation{p.path + " " + what, at})
		}
	}
	slices.SortFunc(out, func(a, b violation) int { return strings.Compare(a.key, b.key) })
	return out
}

// isEffect reports whether an import reaches outside of the process. Packages of
// values, such as net/netip, do not.
func isEffect(p string) bool {
	return slices.Contains([]string{"net", "net/http", "os", "os/exec", "os/signal", "syscall"}, p) || strings.HasPrefix(p, "golang.org/x/sys/")
}

// clock returns the function of clocks that a selector names; "" for others.
func clock(f *ast.File, n *ast.SelectorExpr) string {
	x, ok := n.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a variable of that name
		return ""
	}
	for pkg, names := range clocks {
		if importName(f, pkg) == x.Name && slices.Contains(names, n.Sel.Name) {
			return pkg + "." + n.Sel.Name
		}
	}
	return ""
}

// position returns file and line of a node.
func (t *tree) position(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", path.Base(p.Filename), p.Line)
}

func TestEffects(t *testing.T) {
	bad := `package x
import (
	"context"
	"net"
	clk "time"
	"golang.org/x/sys/unix"
)
var _ = net.Dial
var _ = unix.Write
func f(ctx context.Context) {
	go f(ctx)
	clk.Sleep(clk.Second)
	_ = clk.Now
	context.WithTimeout(ctx, 1)
}`
	tr := sources(t, [2]string{"ike/x.go", bad}, [2]string{"ike/transport/x.go", bad}, [2]string{"ike/eap/internal/tlsstep/x.go", bad}, [2]string{"ike/eap/ttls/x.go", `package ttls
import "time"
type clock struct{}
func (clock) Now() int { return 0 }
func f() time.Duration { var time clock; _ = time.Now(); return 0 }`}, [2]string{"ike/eap/md5/x.go", `package md5; import _ "os"`})
	require.ElementsMatch(t, []string{
		"ike imports net", "ike imports golang.org/x/sys/unix", "ike starts a goroutine", "ike uses time.Sleep", "ike uses time.Now", "ike uses context.WithTimeout",
		"ike/eap/md5 imports os",
	}, keys(effects(tr)))
}
