package esp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEcho(t *testing.T) {
	// checksums calculated by hand: 10.3.0.1 to 10.1.0.1, id 1, seq 1, data "abcdefgh"
	v4, _ := hex.DecodeString("45000024000000004001" + "66d4" + "0a030001" + "0a010001" + "0800" + "6668" + "0001" + "0001" + "6162636465666768")
	e := Echo{Src: netip.MustParseAddr("10.3.0.1"), Dst: netip.MustParseAddr("10.1.0.1"), ID: 1, Seq: 1, Data: []byte("abcdefgh")}
	b, err := e.Append(nil)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(v4), hex.EncodeToString(b))
	for _, e := range []Echo{e, {Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"), ID: 0xffff, Seq: 3, Data: []byte("odd")}} {
		for range 2 {
			b, err := e.Append(nil)
			require.NoError(t, err)
			got, err := ParseEcho(b)
			require.NoError(t, err)
			require.Equal(t, e, got)
			for i := range b {
				_, err := ParseEcho(b[:i])
				require.Error(t, err)
			}
			for i := ipv4HeaderSize; i < len(b); i++ {
				bad := bytes.Clone(b)
				bad[i] ^= 0x10
				got, err := ParseEcho(bad)
				require.True(t, err != nil || got.Src != e.Src || got.Dst != e.Dst, "octet %d", i)
			}
			e.Src, e.Dst, e.Reply = e.Dst, e.Src, true
		}
	}
	_, err = Echo{Src: e.Src, Dst: netip.MustParseAddr("::1")}.Append(nil)
	require.Error(t, err)
	_, err = Echo{}.Append(nil)
	require.Error(t, err)
}
