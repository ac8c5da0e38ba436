package eap

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

var packetVectors = []struct {
	hex  string
	want Packet
	text string
}{
	{"01 17 0016 04 10 000102030405060708090a0b0c0d0e0f",
		Packet{Code: CodeRequest, ID: 0x17, Type: TypeMD5, Data: append([]byte{16}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}, "EAP/REQ/MD5"},
	{"02 00 000a 01 6361726f6c", Packet{Code: CodeResponse, Type: TypeIdentity, Data: []byte("carol")}, "EAP/RES/ID"},
	{"01 a8 0006 15 20", Packet{Code: CodeRequest, ID: 0xa8, Type: TypeTTLS, Data: []byte{0x20}}, "EAP/REQ/TTLS"},
	{"01 05 0006 36 81", Packet{Code: CodeRequest, ID: 5, Type: TypePT, Data: []byte{0x81}}, "EAP/REQ/PT"},
	{"03 05 0004", Packet{Code: CodeSuccess, ID: 5}, "EAP/SUCC"},
	{"04 05 0004", Packet{Code: CodeFailure, ID: 5}, "EAP/FAIL"},
	{"01 05 000e fe 00902a 00000005 aabb", Packet{Code: CodeRequest, ID: 5, Type: Expanded(0x902a, 5), Expanded: true, Data: []byte{0xaa, 0xbb}}, "EAP/REQ/5-36906"},
	{"02 05 0014 fe 000000 00000003 fe000000 00000015", Packet{Code: CodeResponse, ID: 5, Type: TypeNak, Expanded: true,
		Data: []byte{0xfe, 0, 0, 0, 0, 0, 0, 21}}, "EAP/RES/NAK"},
}

func TestPacketVectors(t *testing.T) {
	for _, v := range packetVectors {
		t.Run(v.text, func(t *testing.T) {
			b := unhex(t, v.hex)
			p, err := Parse(append(b, 0xff)) // trailing octets are ignored
			require.NoError(t, err)
			if len(v.want.Data) == 0 {
				require.Empty(t, p.Data)
				p.Data = nil
			}
			require.Equal(t, v.want, p)
			require.Equal(t, v.text, p.String())
			out, err := p.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, b, out)
			require.Equal(t, len(b), p.Len())
			for i := range b {
				_, err := Parse(b[:i])
				require.Error(t, err, "prefix of %d octets", i)
			}
		})
	}
}

func TestPacketErrors(t *testing.T) {
	for _, h := range []string{"", "01 01 0003 01", "01 01 0004", "05 01 0005 01", "00 01 0004", "01 01 0006 fe00"} {
		_, err := Parse(unhex(t, h))
		var de *wire.DecodeError
		require.ErrorAs(t, err, &de, h)
	}
	_, err := Packet{Code: CodeRequest, Type: TypeTTLS, Data: make([]byte, math.MaxUint16)}.AppendBinary(nil)
	require.ErrorIs(t, err, wire.ErrTooLong)
}

func TestNak(t *testing.T) {
	vendor := Expanded(0x902a, 5)
	for _, c := range []struct {
		expanded bool
		offers   []Type
		want     string
	}{
		{false, []Type{TypeTTLS, TypeTLS}, "02 07 0007 03 15 0d"},
		{false, nil, "02 07 0006 03 00"},
		{false, []Type{TypeTTLS, vendor}, "02 07 0007 03 15 fe"},
		{true, []Type{TypeTTLS, vendor}, "02 07 001c fe 000000 00000003 fe000000 00000015 fe00902a 00000005"},
		{true, nil, "02 07 0014 fe 000000 00000003 fe000000 00000000"},
	} {
		p := nak(Packet{Code: CodeRequest, ID: 7, Type: vendor, Expanded: c.expanded}, c.offers)
		b, err := p.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, unhex(t, c.want), b)
		parsed, err := Parse(b)
		require.NoError(t, err)
		types, err := parsed.NakTypes()
		require.NoError(t, err)
		if c.expanded {
			require.Equal(t, c.offers, types)
		}
	}
	_, err := Packet{Code: CodeRequest}.NakTypes()
	require.Error(t, err)
}

func TestTypeNames(t *testing.T) {
	for name, want := range configNames {
		got, ok := TypeFromName(strings.ToUpper(name))
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := TypeFromName("leap")
	require.False(t, ok)
	require.Equal(t, "EAP_PT_EAP", TypePT.String())
	require.Equal(t, "EAP_(99)", Type(99).String())
	require.Equal(t, "(99)", Type(99).Short())
	require.Equal(t, "vendor specific EAP method 5-36906", Expanded(36906, 5).String())
}

func FuzzParse(f *testing.F) {
	for _, v := range packetVectors {
		f.Add(unhex(f, v.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		out, err := p.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		// A Success or Failure has no body, whatever its Length said.
		if p.Code != CodeSuccess && p.Code != CodeFailure && string(out) != string(b[:len(out)]) {
			t.Fatalf("%x became %x", b, out)
		}
		_, _ = p.NakTypes()
	})
}
