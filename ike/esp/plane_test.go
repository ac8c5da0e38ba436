package esp

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoice(t *testing.T) {
	ok := func() error { return nil }
	no := func() error { return errors.New("not here") }
	c, err := choose(Auto, ok, no)
	require.NoError(t, err)
	require.Equal(t, TUN, c.Kind)
	_, err = choose(Auto, no, ok)
	require.EqualError(t, err, "no data plane works; tun: not here; to connect without one choose none")
	_, err = choose(TUN, no, ok)
	require.EqualError(t, err, "use data plane tun: not here")
	c, err = choose(None, no, no)
	require.NoError(t, err)
	require.Equal(t, None, c.Kind)
	_, err = choose(XFRM, ok, ok)
	require.ErrorIs(t, err, ErrNoXFRM)
	_, err = choose(XFRM, ok, no)
	require.ErrorIs(t, err, ErrNoXFRM)
	_, err = choose("vpp", ok, ok)
	require.ErrorContains(t, err, `data plane "vpp" is not known`)
	k, err := ParseKind("")
	require.NoError(t, err)
	require.Equal(t, Auto, k)
	_, err = Open(XFRM, Config{})
	require.ErrorIs(t, err, ErrNoXFRM)
	_, err = Open(Auto, Config{})
	require.Error(t, err)
}

func TestNone(t *testing.T) {
	cc, _ := children(t, "aes128gcm16")
	p, err := Open(None, Config{Child: cc})
	require.NoError(t, err)
	require.Error(t, cc.In.Seal(make([]byte, 64), 0), "the keys are gone")
	p.Receive([]byte{1})
	require.EqualValues(t, 1, p.Stats().Failed)
	require.NoError(t, p.Install(cc))
	require.False(t, p.Remove(1))
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	<-p.Done()
	require.NoError(t, p.Err())
}
