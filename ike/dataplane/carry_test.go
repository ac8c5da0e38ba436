package dataplane_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
)

// once is a plane that counts its sockets and refuses to remove.
type once struct {
	dataplane.Plane
	attached int
}

func (p *once) Attach(dataplane.Socket) error { p.attached++; return nil }
func (p *once) Remove(uint32) error           { return errors.New("no such CHILD_SA") }

func TestCarryAttachesOnceAndReportsErrors(t *testing.T) {
	p := &once{Plane: dataplane.NewNone()}
	var failed []error
	carry := dataplane.Carry[dataplane.Socket](p, func(err error) { failed = append(failed, err) })
	carry(nil, ike.Established{})
	require.Equal(t, 1, p.attached)
	require.Empty(t, failed)
	carry(nil, ike.ChildClosed{})
	require.Equal(t, 1, p.attached)
	require.Len(t, failed, 1)
}
