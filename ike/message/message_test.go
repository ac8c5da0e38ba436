package message

import (
	"encoding/binary"
	"encoding/hex"
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

// payload wraps one body in a generic header.
func payload(body []byte) []byte {
	b := append([]byte{0, 0}, byte((len(body)+4)>>8), byte(len(body)+4))
	return append(b, body...)
}

// vector checks one body against its value both ways, and every truncation of
// the body, with and without an agreeing length.
func vector(t *testing.T, typ PayloadType, body string, want Payload) {
	t.Helper()
	raw := unhex(t, body)
	ps, err := ParsePayloads(typ, payload(raw))
	require.NoError(t, err)
	require.Equal(t, []Payload{want}, ps)
	require.Equal(t, typ, want.Type())
	out, err := want.AppendBody([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, "before"+string(raw), string(out))
	truncations(t, typ, raw)
}

func truncations(t *testing.T, typ PayloadType, raw []byte) {
	t.Helper()
	whole := payload(raw)
	for n := range whole {
		_, err := ParsePayloads(typ, whole[:n])
		require.Error(t, err)
	}
	for n := range raw {
		ps, err := ParsePayloads(typ, payload(raw[:n]))
		if err != nil {
			var d *wire.DecodeError
			require.ErrorAs(t, err, &d)
			continue
		}
		_, again, err := AppendPayloads(nil, ps)
		require.NoError(t, err)
		require.Len(t, again, 4+n, "a shorter value")
	}
}

func refused(t *testing.T, typ PayloadType, body string) {
	t.Helper()
	_, err := ParsePayloads(typ, payload(unhex(t, body)))
	var d *wire.DecodeError
	require.ErrorAs(t, err, &d)
}

// An IKE_SA_INIT request in the layout that strongSwan sends.
const initRequest = "0102030405060708 0000000000000000 21 20 22 08 00000000 000000ac" +
	"22 00 0028 00 00 0024 01 01 00 03 0300000c 01 00 0014 800e0100 03000008 02 00 0005 00000008 04 00 001f" +
	"28 00 0028 001f 0000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
	"29 00 0014 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" +
	"29 00 001c 00 00 4004 644b4575455bd6fcc1efe2be8162a9218e448e5f" +
	"00 00 0008 00 00 402e"

func TestParseMessage(t *testing.T) {
	b := unhex(t, initRequest)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	m, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, "IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(FRAG_SUP) ]", m.Summary())
	require.Equal(t, SPI(0x0102030405060708), m.SPIi)
	require.True(t, m.FromInitiator())
	require.False(t, m.IsResponse())
	sa, ok := First[*SA](m.Payloads)
	require.True(t, ok)
	require.Equal(t, Transform{Type: ENCR, ID: EncrAESGCM16, KeyBits: 256}, sa.Proposals[0].Transforms[0])
	_, ok = First[*CP](m.Payloads)
	require.False(t, ok)
	require.Len(t, All[*Notify](m.Payloads), 2)
	require.NotNil(t, m.Notify(FragmentationSupported))
	require.Nil(t, m.Notify(Cookie))
	require.Nil(t, m.ErrorNotify())
	out, err := m.AppendBinary([]byte{0, 0, 0, 0}) // behind a non-ESP marker
	require.NoError(t, err)
	require.Equal(t, b, out[4:])

	for n := range b {
		_, err := Parse(b[:n])
		require.Error(t, err)
		cut := append([]byte(nil), b[:n]...)
		if n >= HeaderSize {
			binary.BigEndian.PutUint32(cut[24:], uint32(n))
			_, err := Parse(cut)
			require.Error(t, err)
		}
	}
	_, err = Parse(append(b, 0))
	require.ErrorIs(t, err, wire.ErrLength)

	// What Parse returns does not change with the buffer.
	clear(b)
	out2, err := m.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, out[4:], out2)
}

func TestHeader(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, NextPayload: TypeSK, Version: Version, Exchange: Informational, Flags: FlagResponse | FlagInitiator, MessageID: 7, Length: 80}
	b, err := h.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, unhex(t, "0000000000000001 0000000000000002 2e 20 25 28 00000007 00000050"), b)
	got, err := ParseHeader(b)
	require.NoError(t, err)
	require.Equal(t, h, got)
	require.Equal(t, "INFORMATIONAL response 7", h.String())
	for n := range b {
		_, err := ParseHeader(b[:n])
		require.ErrorIs(t, err, wire.ErrTruncated)
	}
	b[17] = 0x10
	got, err = ParseHeader(b)
	require.ErrorIs(t, err, ErrMajorVersion)
	require.Equal(t, SPI(1), got.SPIi)
	b[17] = 0x2f
	_, err = ParseHeader(b)
	require.NoError(t, err, "minor versions are ignored")
	require.Equal(t, "0000000000000001", got.SPIi.String())
	require.Equal(t, "EXCHANGE_99", ExchangeType(99).String())
}

func TestUnknownPayloads(t *testing.T) {
	vector(t, 99, "0102030405", &Raw{PayloadType: 99, Body: []byte{1, 2, 3, 4, 5}})
	b := payload([]byte{1})
	b[1] = 0x80
	_, err := ParsePayloads(99, b)
	var c *UnsupportedCriticalError
	require.ErrorAs(t, err, &c)
	require.Equal(t, PayloadType(99), c.Type)
	require.Equal(t, []byte{99}, c.Notify().Data)
	_, err = ParsePayloads(TypeVendorID, b)
	require.NoError(t, err, "the bit of a known payload is ignored")
	_, out, err := AppendPayloads(nil, []Payload{&Raw{PayloadType: 99, Critical: true, Body: []byte{1}}})
	require.NoError(t, err)
	require.Equal(t, b, out)
}

func TestCaps(t *testing.T) {
	chain := func(typ PayloadType, n int, body []byte) []byte {
		var b []byte
		for i := range n {
			p := payload(body)
			if i < n-1 {
				p[0] = byte(typ)
			}
			b = append(b, p...)
		}
		return b
	}
	for typ, v := range map[PayloadType]struct {
		max  int
		body []byte
	}{
		TypeNotify: {MaxNotifies, make([]byte, 4)}, TypeVendorID: {20, nil}, TypeCertRequest: {20, []byte{4}}, TypeCert: {8, []byte{4}},
		TypeSK: {1, nil}, TypeNonce: {1, make([]byte, 16)}, TypeEAP: {1, []byte{3, 0, 0, 4}}, 99: {MaxPayloads, nil},
	} {
		_, err := ParsePayloads(typ, chain(typ, v.max, v.body))
		if typ != TypeSK {
			require.NoError(t, err, typ)
		}
		_, err = ParsePayloads(typ, chain(typ, v.max+1, v.body))
		require.Error(t, err, typ)
		if typ != TypeSK {
			require.ErrorIs(t, err, ErrTooMany, typ)
		}
	}
	_, err := ParsePayloads(TypeVendorID, []byte{0, 0, 0, 3})
	require.ErrorIs(t, err, wire.ErrLength)
}

func TestEncryptedPayloads(t *testing.T) {
	m := Message{Header: Header{Exchange: IKEAuth}, Payloads: []Payload{&SKF{Next: TypeIDi, Number: 1, Total: 3, Body: []byte{1, 2}}}}
	b, err := m.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, unhex(t, "23 00 000a 0001 0003 0102"), b[HeaderSize:])
	got, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, m.Payloads, got.Payloads)
	require.Equal(t, "IKE_AUTH request 0 [ EF(1/3) ]", got.Summary())
	refused(t, TypeSKF, "0000 0003 01")
	refused(t, TypeSKF, "0004 0003 01")
	truncations(t, TypeSKF, unhex(t, "0001 0001 01"))

	m.Payloads = []Payload{&VendorID{Data: []byte{1}}, &SK{Next: TypeEAP, Body: []byte{1, 2}}}
	b, err = m.AppendBinary(nil)
	require.NoError(t, err)
	got, err = Parse(b)
	require.NoError(t, err)
	require.Equal(t, m.Payloads, got.Payloads)
	_, err = Parse(append(b, 0, 0, 0, 4))
	require.Error(t, err)

	for _, bad := range [][]Payload{
		{&SK{}, &VendorID{}}, {&SKF{Number: 2, Total: 1}}, {&VendorID{Data: make([]byte, 65532)}}, {&Nonce{}}, {&EAP{}}, {&SA{}}, {&TSi{}},
	} {
		_, out, err := AppendPayloads([]byte("x"), bad)
		require.Error(t, err)
		require.Equal(t, "x", string(out))
	}
}

func TestSummary(t *testing.T) {
	m := Message{Header: Header{Exchange: IKEAuth, MessageID: 1}, Payloads: []Payload{
		&IDi{}, &Notify{NotifyType: InitialContact}, &CertRequest{}, &IDr{}, &CP{CPType: CPRequest, Attributes: []CPAttribute{{Type: InternalIP4Address}, {Type: InternalIP4DNS}}},
		&SA{}, &TSi{}, &TSr{}, &Notify{NotifyType: MOBIKESupported}, &Notify{NotifyType: EAPOnlyAuthentication}, &Notify{NotifyType: 60000},
	}}
	require.Equal(t, "IKE_AUTH request 1 [ IDi N(INIT_CONTACT) CERTREQ IDr CPRQ(ADDR DNS) SA TSi TSr N(MOBIKE_SUP) N(EAP_ONLY) N((60000)) ]", m.Summary())
	m = Message{Header: Header{Exchange: Informational, Flags: FlagResponse}}
	require.Equal(t, "INFORMATIONAL response 0 [ ]", m.Summary())
}

func FuzzParse(f *testing.F) {
	b := unhex(f, initRequest)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		_ = m.Summary()
		out, err := m.AppendBinary(nil)
		if err != nil {
			t.Fatalf("parsed, not encoded: %v", err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("encoded, not parsed: %v", err)
		}
		out2, err := again.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, out, out2)
	})
}

func FuzzParsePayloads(f *testing.F) {
	for typ, body := range map[PayloadType]string{
		TypeSA: "00000024010100030300000c01000014800e01000300000802000005000000080400001f", TypeTSi: "01000000070000100000ffff0a0000000affffff",
		TypeCP: "01000000000100000003 0000", TypeDelete: "03040001c0000001", TypeNotify: "0000402e", TypeIDi: "020000006162",
		TypeEAP: "0101000501", TypeSKF: "0001000200",
	} {
		f.Add(byte(typ), payload(unhex(f, body)))
	}
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		ps, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			return
		}
		for _, p := range ps {
			switch v := p.(type) {
			case *IDi:
				_ = v.String()
			case *TSi:
				for _, s := range v.Selectors {
					_ = s.String()
					s.Contains(s)
					s.Intersect(v.Selectors[0])
				}
			}
		}
		if _, _, err := AppendPayloads(nil, ps); err != nil {
			t.Fatalf("parsed, not encoded: %v", err)
		}
	})
}
