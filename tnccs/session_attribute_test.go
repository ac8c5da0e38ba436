package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAttributes(t *testing.T) {
	f := &fake{}
	c, _ := setup(t, Config{MaxMessageSize: 1000}, f)
	s := c.NewSession()
	_, r := c.GetAttribute(f.id, s.ID(), AttrMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r, "not open yet")
	_, err := s.Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	for a, want := range map[uint32]string{
		AttrMaxRoundTrips:   "\xff\xff\xff\xff",
		AttrMaxMessageSize:  "\x00\x00\x03\xe8",
		AttrHasLongTypes:    "\x01",
		AttrHasExclusive:    "\x01",
		AttrHasSOH:          "\x00",
		AttrIFTNCCSProtocol: "IF-TNCCS\x00",
		AttrIFTNCCSVersion:  "2.0\x00",
		AttrIFTProtocol:     "IF-T for TLS\x00",
		AttrIFTVersion:      "2.0\x00",
		AttrPrimaryIMCID:    "\x00\x00\x00\x01",
	} {
		v, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultSuccess, r, "%x", a)
		require.Equal(t, want, string(v), "%x", a)
	}
	for _, a := range []uint32{AttrPreferredLanguage, AttrDHPN, AttrTLSUnique, 0x00559708, 7} {
		_, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultInvalidParameter, r)
	}
	_, r = c.GetAttribute(f.id, ConnectionAny, AttrMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r)
	require.Equal(t, ResultInvalidParameter, c.SetAttribute(f.id, s.ID(), AttrPreferredLanguage, nil))
}
