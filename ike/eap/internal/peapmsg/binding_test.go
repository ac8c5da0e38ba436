package peapmsg

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func un(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// Recorded from hostapd 2.10 with EAP-MSCHAPv2 inside (hostapd -K -dd).
func TestBindingOfHostapd(t *testing.T) {
	tunnel := un(t, "5e34fe239ee19f89bcdfae84ea07ac29eb3d596107cad0bf0b4166cd55fc336322f66426dd45131c0d29c8c43a53753d4cf099db843c9f4eb0e02f9a")
	inner := un(t, "5b0f22d90202b808418f831deba5bf9d80712985651303a9a3f70997cb765cbe")
	k := NewCompound(tunnel, append(inner, make([]byte, 32)...))
	require.Equal(t, un(t, "76ced103d6ad429377ef057cafbd33c358c3f45abd2c4a3c5364ec93013d618b24995d582660601d"), k.ipmk)
	require.Equal(t, un(t, "84dde9e43548b84935a8fece97543c075471a151"), k.cmk)
	require.Equal(t, un(t, "98f281b761fb1e053599d5688fc9836cc14a6c1916187a47f7b1ee75a518f85033fc235ee859eb27f8af76300049b152c25b76dcd479ec3b983 7fb01402df62f"), k.MSK())
	nonce := un(t, "e7076ebd837274a77204f1f5be14634b42286f8fa40dbd4afc666f91abc0ba9c")
	v := k.Seal(BindingRequest, nonce)
	require.Equal(t, un(t, "693c840838925a70155cf6619906818e181e7556"), v[bindingMAC:])
	got, err := k.Open(BindingRequest, v)
	require.NoError(t, err)
	require.Equal(t, nonce, got)
	for i := range v {
		bad := bytes.Clone(v)
		bad[i] ^= 1
		_, err := k.Open(BindingRequest, bad)
		require.ErrorIs(t, err, ErrBinding, "octet %d", i)
		_, err = k.Open(BindingRequest, v[:i])
		require.ErrorIs(t, err, ErrBinding, "%d octets", i)
	}
	_, err = k.Open(BindingResponse, v)
	require.ErrorIs(t, err, ErrBinding, "our own words sent back")
	k.Zero()
	require.Equal(t, make([]byte, 40), k.ipmk)
}
