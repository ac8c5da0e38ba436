package pb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBatchVectors(t *testing.T) {
	for _, tt := range []struct {
		name, octets string
		receiver     Role
		batch        Batch
	}{
		{"empty CDATA", "02 00 00 01 00000008", Server, Batch{Type: CDATA}},
		{"empty CLOSE", "02 00 00 06 00000008", Server, Batch{Type: CLOSE}},
		{"RESULT", `02 80 00 03 00000028
			80 000000 00000002 00000010 00000003
			00 000000 00000003 00000010 0000 0001`, Client,
			Batch{FromServer: true, Type: RESULT, Messages: []Message{AssessmentResult{Erroneous}, AccessRecommendation{AccessAllowed}}}},
		{"CLOSE, version error", `02 00 00 06 00000020
			80 000000 00000005 00000018  80 000000 0004 0000 03 02 02 00`, Server,
			Batch{Type: CLOSE, Messages: []Message{(&ProtocolError{Code: CodeVersionNotSupported, BadVersion: 3}).Message()}}},
		{"CLOSE, invalid parameter at offset 8", `02 00 00 06 00000020
			80 000000 00000005 00000018  80 000000 0001 0000 00000008`, Server,
			Batch{Type: CLOSE, Messages: []Message{(&ProtocolError{Code: CodeInvalidParameter, Offset: 8}).Message()}}},
		{"CDATA with language and PB-PA", `02 00 00 01 00000058
			00 000000 00000006 0000001f  4163636570742d4c616e67756167653a20656e
			80 000000 00000001 00000031  00 00902a 00000001 0001 ffff
			   01000000 01020304 80 00902a 00000001 00000011 616c6c6f77`, Server,
			Batch{Type: CDATA, Messages: []Message{
				LanguagePreference{"en"},
				PA{Vendor: 0x00902a, Subtype: 1, Collector: 1, Validator: AnyID, Body: unhex(t, "01000000 01020304 80 00902a 00000001 00000011 616c6c6f77")},
			}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.octets)
			x, err := Parse(b, tt.receiver)
			require.NoError(t, err)
			require.Equal(t, tt.batch, x)
			out, err := tt.batch.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, b, out)
			for n := range b {
				_, err := Parse(b[:n], tt.receiver)
				require.Error(t, err)
			}
		})
	}
	// The RFC's form of an error without parameters.
	b, err := Batch{Type: CLOSE, Messages: []Message{(&ProtocolError{Code: CodeUnexpectedBatchType}).Message()}}.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, unhex(t, "02 00 00 06 0000001c 80 000000 00000005 00000014  80 000000 0000 0000"), b)
}

func TestHeaderErrors(t *testing.T) {
	for _, tt := range []struct {
		octets string
		code   ErrorCode
		offset uint32
	}{
		{"", CodeInvalidParameter, 0},
		{"02 80 00 02 000000", CodeInvalidParameter, 0},
		{"03 80 00 02 00000008", CodeVersionNotSupported, 0},
		{"3c 3f 78 6d 6c207665", CodeVersionNotSupported, 0},
		{"02 00 00 02 00000008", CodeInvalidParameter, 1},
		{"02 80 00 00 00000008", CodeInvalidParameter, 3},
		{"02 80 00 07 00000008", CodeInvalidParameter, 3},
		{"02 80 00 02 00000009", CodeInvalidParameter, 4},
		{"02 80 00 02 00000007", CodeInvalidParameter, 4},
		{"02 80 00 02 ffffffff", CodeInvalidParameter, 4},
	} {
		_, err := ParseHeader(unhex(t, tt.octets), Client)
		var pe *ProtocolError
		require.ErrorAs(t, err, &pe, tt.octets)
		require.Equal(t, tt.code, pe.Code, tt.octets)
		require.Equal(t, tt.offset, pe.Offset, tt.octets)
	}
	h, err := ParseHeader(unhex(t, "02 ff ff f2 00000008"), Client)
	require.NoError(t, err, "reserved bits are ignored")
	require.Equal(t, Header{FromServer: true, Type: SDATA, Length: 8}, h)
}

func TestBuilderStopsWhereNothingFits(t *testing.T) {
	b := NewBuilder(CDATA, Client, 8+24+5)
	ok, err := b.Add(PA{Vendor: 1, Subtype: 1, Body: make([]byte, 6)})
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, unhex(t, "02 00 00 01 00000008"), b.Bytes())
	ok, err = b.Add(PA{Vendor: 1, Subtype: 1, Body: make([]byte, 5)})
	require.NoError(t, err)
	require.True(t, ok)
	_, err = b.Add(PA{Vendor: VendorReserved})
	require.Error(t, err)
	require.Equal(t, 1, b.Count())
	x, err := Parse(b.Bytes(), Server)
	require.NoError(t, err)
	require.Len(t, x.Messages, 1)
}

func TestTooManyMessages(t *testing.T) {
	one := unhex(t, "00 000001 00000001 0000000c")
	var all []byte
	for range MaxMessages {
		all = append(all, one...)
	}
	_, err := Parse(wrap(true, SDATA, all), Client)
	require.NoError(t, err)
	_, err = Parse(wrap(true, SDATA, all, one), Client)
	var pe *ProtocolError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, CodeLocalError, pe.Code)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"02 80 00 03 00000028 80 000000 00000002 00000010 00000003 00 000000 00000003 00000010 0000 0001",
		"02 80 00 03 00000020 00 000000 00000007 00000018 00000005 68656c6c6f 02 656e",
		"02 80 00 02 0000002f 00 005597 00000001 00000027 00 005597 00000000 00 00 010f 7064702e6578616d706c652e6f7267",
		"02 80 00 02 0000002f 00 000000 00000004 00000027 00 000000 00000001 00 00 010f 7064702e6578616d706c652e6f7267",
		"02 00 00 01 0000001c 00 000000 00000006 00000014 4163636570742d4c",
		"02 00 00 06 00000020 80 000000 00000005 00000018 80 000000 0001 0000 00000008",
	} {
		f.Add(unhex(f, s), false)
		f.Add(unhex(f, s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, server bool) {
		role := Client
		if server {
			role = Server
		}
		x, err := Parse(b, role)
		if err != nil {
			pe, ok := err.(*ProtocolError)
			if !ok {
				t.Fatalf("%T: %v", err, err)
			}
			if int64(pe.Offset) > int64(len(b)) {
				t.Fatalf("offset %d of %d octets", pe.Offset, len(b))
			}
			if _, err := pe.Message().AppendBinary(nil); err != nil {
				t.Fatal(err)
			}
			return
		}
		out, err := x.AppendBinary(nil)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		y, err := Parse(out, role)
		if err != nil {
			t.Fatalf("decode again: %v", err)
		}
		require.Equal(t, x, y)
	})
}
