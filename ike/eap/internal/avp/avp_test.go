package avp

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// An AVP with the Identity "carol" and two octets of padding.
var carolAVP, _ = hex.DecodeString(strings.ReplaceAll("0000004f 40 000012 0200000a01 6361726f6c 0000", " ", ""))

func TestAVP(t *testing.T) {
	p, err := eap.NewPeer(eap.Config{Identity: "carol"}).IdentityResponse()
	require.NoError(t, err)
	b, err := AppendEAP(nil, p)
	require.NoError(t, err)
	require.Equal(t, carolAVP, b)
	for _, a := range []AVP{
		{Code: 79, Mandatory: true, Data: p},
		{Code: 1, Vendor: 311, HasVendor: true, Data: []byte{1, 2, 3}},
		{Code: 1, HasVendor: true, Mandatory: true},
		{Code: 0xffffffff, Data: make([]byte, 300)},
	} {
		b, err := a.AppendBinary(nil)
		require.NoError(t, err)
		require.Zero(t, len(b)%4)
		got, rest, err := Parse(b)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, len(a.Data), len(got.Data))
		got.Data = a.Data
		require.Equal(t, a, got)
		unpadded := len(b) - (-len(a.Data) & 3)
		for i := range b {
			_, _, err := Parse(b[:i])
			require.Equal(t, i < unpadded, err != nil, "prefix of %d octets", i)
		}
	}
	_, _, err = Parse([]byte{0, 0, 0, 1, 0, 0, 0, 7})
	require.ErrorIs(t, err, wire.ErrLength)
	_, err = AVP{Data: make([]byte, 1<<24)}.AppendBinary(nil)
	require.ErrorIs(t, err, wire.ErrTooLong)
}

func TestStream(t *testing.T) {
	inner := carolAVP[8:18]
	var s Stream
	for i := range carolAVP { // octet by octet; padding may be missing
		p, err := s.Push(carolAVP[i : i+1])
		require.NoError(t, err)
		switch i {
		case 17:
			require.Equal(t, inner, p)
		default:
			require.Nil(t, p, i)
		}
	}
	require.True(t, s.Idle())
	for range 2 { // the sender leaves the padding out
		p, err := s.Push(carolAVP[:18])
		require.NoError(t, err)
		require.Equal(t, inner, p)
	}

	// RADIUS style: one EAP packet in AVPs of 253 octets.
	packet, err := eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTLS, Data: make([]byte, 700)}.AppendBinary(nil)
	require.NoError(t, err)
	var b []byte
	for c := range slices.Chunk(packet, 253) {
		b, err = AppendEAP(b, c)
		require.NoError(t, err)
	}
	s = Stream{}
	p, err := s.Push(b)
	require.NoError(t, err)
	require.Equal(t, packet, p)
	require.True(t, s.Idle())

	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"mandatory": {[]byte{0, 0, 0, 1, 0x40, 0, 0, 8}, errMandatory},
		"two":       {append(append([]byte(nil), carolAVP...), carolAVP...), errTwo},
		"bad EAP":   {[]byte{0, 0, 0, 79, 0x40, 0, 0, 12, 1, 1, 0, 3}, wire.ErrLength},
		"bad AVP":   {[]byte{0, 0, 0, 79, 0x40, 0, 0, 3}, wire.ErrLength},
		"huge AVP":  {[]byte{0, 0, 0, 79, 0x40, 0xff, 0xff, 0xff}, errBuffer},
		"flood":     {make([]byte, bufferMax+1), errBuffer},
	} {
		t.Run(name, func(t *testing.T) {
			var s Stream
			_, err := s.Push(c.b)
			require.ErrorIs(t, err, c.want)
		})
	}
	s = Stream{}
	p, err = s.Push(append([]byte{0, 0, 0, 1, 0, 0, 0, 8}, carolAVP...))
	require.NoError(t, err, "an optional attribute is passed over")
	require.Equal(t, inner, p)
}

func FuzzStream(f *testing.F) {
	f.Add(carolAVP, 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var s Stream
		cut = max(0, min(cut, len(b)))
		if _, err := s.Push(b[:cut]); err != nil {
			return
		}
		if p, err := s.Push(b[cut:]); err == nil && p != nil && len(p) < 4 {
			t.Fatalf("packet %x", p)
		}
		if len(s.buf) > bufferMax || len(s.eap) > bufferMax {
			t.Fatal("over the limit")
		}
	})
}
