package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
)

// A connection whose CHILD_SA closed is not up: another one is being made, packets
// are waited for, or the connection ends.
func TestStatusWithoutChild(t *testing.T) {
	c := newSite(t, nil).client(func(cfg *Config) { cfg.Stay = true })
	r := &ikeRun{spis: map[uint32]bool{}}
	up := func() {
		c.state.setCurrent(r, Child{})
		c.state.setChild(7, Child{})
		r.spis[7] = true
		require.Equal(t, Up, c.Status().State)
	}
	up()
	c.childClosed(r, ike.ChildClosed{SPIIn: 7, Renewing: true})
	require.NoError(t, c.failure, "the Machine makes another one")
	require.Equal(t, Reconnecting, c.Status().State)
	c.trap.armed.Store(true)
	require.Equal(t, Trapped, c.Status().State)
	c.trap.armed.Store(false)
	up()
	require.NoError(t, c.failure)
}
