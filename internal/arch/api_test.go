package arch

import (
	"fmt"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
)

// internalAPI finds exported declarations of public packages whose types come from
// an internal package, which other modules cannot name.
func internalAPI(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		if !isPublic(p.path) || isTestSupport(p.path) || p.types == nil {
			continue
		}
		w := &apiWalk{pkg: p.types, seen: map[types.Type]bool{}}
		scope := p.types.Scope()
		for _, name := range scope.Names() {
			if o := scope.Lookup(name); o.Exported() {
				w.object(o)
			}
		}
		out = append(out, w.out...)
	}
	return out
}

// apiWalk goes over the types that users of a package see.
type apiWalk struct {
	pkg  *types.Package
	at   string // the declaration that is looked at
	seen map[types.Type]bool
	out  []violation
}

func (w *apiWalk) object(o types.Object) {
	w.at = fmt.Sprintf("%s.%s", within(w.pkg.Path()), o.Name())
	if n, ok := o.(*types.TypeName); ok {
		if a, ok := o.Type().(*types.Alias); ok {
			w.typ(a.Rhs())
		} else {
			w.declared(n.Type())
		}
		return
	}
	w.typ(o.Type())
}

// declared looks at what a type of this package exports: fields and methods.
func (w *apiWalk) declared(t types.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	n, ok := t.(*types.Named)
	if !ok {
		return
	}
	at := w.at
	for i := range n.TypeParams().Len() {
		w.typ(n.TypeParams().At(i).Constraint())
	}
	w.typ(n.Underlying())
	for i := range n.NumMethods() {
		if m := n.Method(i); m.Exported() {
			w.at = at + "." + m.Name()
			w.typ(m.Type())
		}
	}
	w.at = at
}

// typ looks at a type that stands in a signature, a field, a variable or an alias.
func (w *apiWalk) typ(t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		w.named(t.Obj())
		for i := range t.TypeArgs().Len() {
			w.typ(t.TypeArgs().At(i))
		}
	case *types.Named:
		w.named(t.Obj())
		for i := range t.TypeArgs().Len() {
			w.typ(t.TypeArgs().At(i))
		}
		if o := t.Obj(); o.Pkg() == w.pkg && !o.Exported() {
			w.declared(t) // what it exports can be reached
		}
	case *types.Pointer:
		w.typ(t.Elem())
	case *types.Slice:
		w.typ(t.Elem())
	case *types.Array:
		w.typ(t.Elem())
	case *types.Chan:
		w.typ(t.Elem())
	case *types.Map:
		w.typ(t.Key())
		w.typ(t.Elem())
	case *types.Tuple:
		for i := range t.Len() {
			w.typ(t.At(i).Type())
		}
	case *types.Signature:
		for i := range t.TypeParams().Len() {
			w.typ(t.TypeParams().At(i).Constraint())
		}
		w.typ(t.Params())
		w.typ(t.Results())
	case *types.Struct:
		at := w.at
		for i := range t.NumFields() {
			if f := t.Field(i); f.Exported() || f.Embedded() {
				w.at = at + "." + f.Name()
				w.typ(f.Type())
			}
		}
		w.at = at
	case *types.Interface:
		at := w.at
		for i := range t.NumExplicitMethods() {
			if m := t.ExplicitMethod(i); m.Exported() {
				w.at = at + "." + m.Name()
				w.typ(m.Type())
			}
		}
		w.at = at
		for i := range t.NumEmbeddeds() {
			w.typ(t.EmbeddedType(i))
		}
	case *types.Union:
		for i := range t.Len() {
			w.typ(t.Term(i).Type())
		}
	}
}

// named records the name of a type of an internal package.
func (w *apiWalk) named(o *types.TypeName) {
	if o.Pkg() == nil || !hasInternal(within(o.Pkg().Path())) {
		return
	}
	w.out = append(w.out, violation{w.at, fmt.Sprintf("names %s.%s", within(o.Pkg().Path()), o.Name())})
}

func TestInternalAPI(t *testing.T) {
	tr := sources(t,
		[2]string{"internal/base/wire/w.go", `package wire
type Reader struct{}
type Error = error`},
		[2]string{"a/a.go", `package a
import "github.com/gotnc/gotnc/internal/base/wire"
func Parse(r *wire.Reader) {}
func Good(b []byte) error { var r wire.Reader; _ = r; return nil }
func Alias() (wire.Error, int) { return nil, 0 }
type T struct { r wire.Reader; R map[string][]wire.Reader }
func (T) M(func(wire.Reader)) {}
func (T) m(wire.Reader) {}
type E struct { *wire.Reader }
type A = wire.Reader
type I interface { F() chan wire.Reader }
type u struct{}
func (u) Reached(wire.Reader) {}
func U() u { return u{} }
type hidden struct{ R wire.Reader }
var V wire.Reader
var v wire.Reader
type G[P interface{ wire.Reader }] struct{}`},
		[2]string{"a/internal/b/b.go", `package b
import "github.com/gotnc/gotnc/internal/base/wire"
func Parse(r *wire.Reader) {}`},
		[2]string{"cmd/c/c.go", `package c
import "github.com/gotnc/gotnc/internal/base/wire"
func Parse(r *wire.Reader) {}`})
	require.ElementsMatch(t, []string{"a.Parse", "a.Alias", "a.T.R", "a.T.M", "a.E.Reader", "a.A", "a.I.F", "a.U.Reached", "a.V", "a.G"}, keys(internalAPI(tr)))
}
