package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAttributes(t *testing.T) {
	f := &fake{}
	c, _ := setup(t, Config{MaxMessageSize: 1000}, f)
	s := c.NewSession()
	_, r := c.GetAttribute(f.id, s.ID(), AttributeMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r, "not open yet")
	_, err := s.Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	for a, want := range map[AttributeID]string{
		AttributeMaxRoundTrips:   "\xff\xff\xff\xff",
		AttributeMaxMessageSize:  "\x00\x00\x03\xe8",
		AttributeHasLongTypes:    "\x01",
		AttributeHasExclusive:    "\x01",
		AttributeHasSOH:          "\x00",
		AttributeIFTNCCSProtocol: "IF-TNCCS\x00",
		AttributeIFTNCCSVersion:  "2.0\x00",
		AttributeIFTProtocol:     "IF-T for TLS\x00",
		AttributeIFTVersion:      "2.0\x00",
		AttributePrimaryIMCID:    "\x00\x00\x00\x01",
	} {
		v, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultSuccess, r, "%x", a)
		require.Equal(t, want, string(v), "%x", a)
	}
	for _, a := range []AttributeID{AttributePreferredLanguage, AttributeDHPN, AttributeTLSUnique, 0x00559708, 7} {
		_, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultInvalidParameter, r)
	}
	_, r = c.GetAttribute(f.id, AnyConnection, AttributeMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r)
	require.Equal(t, ResultInvalidParameter, c.SetAttribute(f.id, s.ID(), AttributePreferredLanguage, nil))
}
