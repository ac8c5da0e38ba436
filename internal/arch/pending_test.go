package arch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// measures are the rules of this page's numbers. Each is a function over a tree,
// with a test that it fails on a small broken one.
var measures = []measure{
	{"cycles", cycles},
}

// pending are the known violations, by measure. The list may only shrink: an entry
// that is not needed any more fails the test.
var pending = map[string][]string{}

func TestMeasures(t *testing.T) {
	tr, err := realTree()
	require.NoError(t, err)
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
