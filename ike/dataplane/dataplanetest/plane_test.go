package dataplanetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/dataplane"
)

func TestRecordingPlane(t *testing.T) {
	p := &Plane{Describes: dataplane.Info{Kind: "recorded"}}
	Conform(t, p)
	require.Equal(t, []string{
		"attach", "install home c0000001", "install home c0000011 standby", "activate c0000011", "remove c0000001", "move 192.168.0.101:4500", "close", "close",
	}, p.Calls()[3:11])

	down := errors.New("down")
	p.Fail = func(call string) error {
		if call == "install home c0000021" {
			return down
		}
		return nil
	}
	child, _ := Children("aes128gcm16", 0xc0000021, 0xc0000022, 1)
	require.ErrorIs(t, p.Install(child, false), down)
	zeroed(t, child)
	installed, _ := p.Installed(0xc0000021)
	require.False(t, installed)
	require.NoError(t, p.Trap(child))
	require.Equal(t, "trap home", p.Calls()[len(p.Calls())-1])
}

func TestNoneConforms(t *testing.T) {
	Conform(t, dataplane.NewNone())
	require.ErrorIs(t, dataplane.NewNone().Trap(), dataplane.ErrNoTrap)
}
