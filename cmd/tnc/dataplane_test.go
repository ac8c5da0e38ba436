package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/esp"
)

func TestSelectPlane(t *testing.T) {
	ok := func() error { return nil }
	no := func() error { return errors.New("not here") }
	for _, c := range []struct {
		want        esp.Kind
		tun, kernel func() error
		chosen      esp.Kind
		fails       string
	}{
		{esp.Auto, ok, ok, esp.TUN, ""},
		{esp.Auto, ok, no, esp.TUN, ""},
		{esp.Auto, no, ok, esp.XFRM, ""},
		{esp.Auto, no, no, "", "no data plane works here; tun: not here; xfrm: not here"},
		{esp.TUN, no, ok, "", "use data plane tun: not here"},
		{esp.XFRM, ok, no, "", "use data plane xfrm: not here"},
		{esp.XFRM, no, ok, esp.XFRM, ""},
		{esp.None, no, no, esp.None, ""},
	} {
		got, err := selectPlane(c.want, c.tun, c.kernel)
		if c.fails != "" {
			require.EqualError(t, err, c.fails)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.chosen, got.kind)
		require.NotEmpty(t, got.reason)
	}
}
