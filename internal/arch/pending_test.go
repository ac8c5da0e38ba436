package arch

import (
	"go/types"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// measures are the rules that the whole module is held to. Each is a function over a
// tree, with a test that it finds what is wrong in a small broken one.
var measures = []measure{
	{"cycles", cycles},
	{"internal API", internalAPI},
	{"effects", effects},
	{"command size", commandSize},
	{"function size", functionSize},
	{"type size", typeSize},
	{"links", links},
	{"logging", logging},
}

// pending are the known violations, by measure. The list may only shrink: an entry
// that is not needed any more fails the test.
var pending = map[string][]string{}

func TestMeasures(t *testing.T) {
	tr, err := realTree()
	require.NoError(t, err)
	machine := tr.find("ike").types.Scope().Lookup("Machine")
	require.NotNil(t, machine, "the types of the module are known")
	require.Greater(t, machine.Type().(*types.Named).NumMethods(), 3)
	for _, m := range measures {
		t.Run(m.name, func(t *testing.T) {
			found := m.check(tr)
			for _, v := range found {
				if !slices.Contains(pending[m.name], v.key) {
					t.Error(v)
				}
			}
			for _, p := range pending[m.name] {
				if !slices.Contains(keys(found), p) {
					t.Errorf("pending %q is done: take it off the list", p)
				}
			}
		})
	}
}
