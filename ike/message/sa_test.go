package message

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSA(t *testing.T) {
	vector(t, TypeSA,
		"02000028 01 03 04 03 c0000001 0300000c 01 00 000c 800e0100 03000008 03 00 000c 00000008 05 00 0000"+
			"00000020 02 03 04 02 c0000001 0300000c 01 00 0014 800e0080 00000008 05 00 0000",
		&SA{Proposals: []Proposal{
			{Number: 1, Protocol: ProtocolESP, SPI: []byte{0xc0, 0, 0, 1}, Transforms: []Transform{
				{Type: ENCR, ID: EncrAESCBC, KeyBits: 256}, {Type: INTEG, ID: IntegHMACSHA256128}, {Type: ESN, ID: ESNNo},
			}},
			{Number: 2, Protocol: ProtocolESP, SPI: []byte{0xc0, 0, 0, 1}, Transforms: []Transform{
				{Type: ENCR, ID: EncrAESGCM16, KeyBits: 128}, {Type: ESN, ID: ESNNo},
			}},
		}})
	// Unknown attributes are kept: a value of three octets, and a second key length.
	vector(t, TypeSA,
		"0000001f 01 01 00 01 00000017 01 00 000c 800e0100 0063 0003 010203 800e0080",
		&SA{Proposals: []Proposal{{Number: 1, Protocol: ProtocolIKE, Transforms: []Transform{{
			Type: ENCR, ID: EncrAESCBC, KeyBits: 256,
			Attributes: []Attribute{{Type: 99, Value: []byte{1, 2, 3}}, {Type: 14, TV: true, Value: []byte{0, 128}}},
		}}}}})
	for _, bad := range []string{
		"",
		"01000008 01010000",                   // neither last nor more
		"02000008 01010000",                   // more announced, none there
		"00000007 010100",                     // too short
		"00000008 01010001",                   // transform missing
		"00000010 01010001 03000008 01000003", // transform announces more
		"00000010 01010001 00000007 01000003", // its length too short
		"00000011 01010001 00000009 01000003 00",
		"00000008 01010000 00", // left over
		"00000008 010100ff",
	} {
		refused(t, TypeSA, bad)
	}
}

func TestSAEncodeRefuses(t *testing.T) {
	for _, sa := range []*SA{
		{},
		{Proposals: make([]Proposal, MaxProposals+1)},
		{Proposals: []Proposal{{SPI: make([]byte, 256)}}},
		{Proposals: []Proposal{{Transforms: make([]Transform, MaxTransforms+1)}}},
		{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{TV: true}}}}}}},
		{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{Value: make([]byte, 65536)}}}}}}},
		{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{Value: make([]byte, 65535)}}}}}}},
	} {
		_, err := sa.AppendBody(nil)
		require.Error(t, err)
	}
}

func TestTransform(t *testing.T) {
	a := Transform{Type: ENCR, ID: EncrAESCBC, KeyBits: 128}
	require.True(t, a.Equal(a))
	b := a
	b.Attributes = []Attribute{{Type: 99}}
	require.False(t, a.Equal(b))
	require.False(t, b.Equal(b), "unknown attributes: never chosen")
	p := Proposal{SPI: []byte{1}, Transforms: []Transform{a}}
	c := p.Clone()
	c.Transforms[0].KeyBits, c.SPI[0] = 256, 2
	require.EqualValues(t, 128, p.Transforms[0].KeyBits)
	require.EqualValues(t, 1, p.SPI[0])
	require.Len(t, p.OfType(ENCR), 1)
	require.Empty(t, p.OfType(ESN))
	require.Equal(t, "CURVE_25519", KECurve25519.String())
	require.Equal(t, "KE_999", KEMethod(999).String())
	require.Equal(t, "ADDITIONAL_KEY_EXCHANGE_2", TransformType(7).String())
}
