package client

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
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

// A gateway may rekey a CHILD_SA that we have just refused, before our DELETE.
func TestRekeyingWithoutADataPlane(t *testing.T) {
	for name, plane := range map[string]Plane{"tun": &devicePlane{}, "xfrm": &kernelPlane{conn: &swanctl.Connection{}}} {
		t.Run(name, func(t *testing.T) {
			c := &Client{plane: plane, failure: errors.New("refused"), profile: &profile.Profile{}}
			proposals, err := crypto.ParseProposals(message.ProtocolESP, []string{"aes128gcm16"})
			require.NoError(t, err)
			suite, err := crypto.SuiteOf(proposals[0])
			require.NoError(t, err)
			key := bytes.Repeat([]byte{1}, 20)
			child := &ike.ChildSA{Name: "home", SPIIn: 0xc0000001, SPIOut: 0xc0000002, ESP: suite,
				Keys:    &crypto.ChildKeys{Ei: key, Er: bytes.Clone(key)},
				LocalTS: []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.3.0.1/32"))}, RemoteTS: []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.1.0.0/16"))}}
			c.event(&ikeRun{spis: map[uint32]bool{}}, ike.ChildRekeyed{Child: child})
			require.Equal(t, make([]byte, 20), key, "its keys are forgotten")
		})
	}
}
