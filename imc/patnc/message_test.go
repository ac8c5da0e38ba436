package patnc

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	require.NoError(t, err)
	return b
}

func encode(t testing.TB, m Message) []byte {
	t.Helper()
	b, err := m.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// osPush is what strongSwan's OS IMC sends when a handshake begins.
const osPush = `01000000 be8180e0
00000000 00000002 00000017 002572 0000 44656269616e
00000000 00000004 0000001a 0b 31322e34207838365f3634 00 00
00000000 00000003 0000001c 0000000c 00000004 00000000 0000 0000
00000000 00000005 00000024 03 01 0000 323032362d31312d32335430383a34343a35335a
00000000 0000000b 00000010 00000000
00000000 0000000c 00000010 00000000
0000902a 00000008 00000034 31303833663033393838633937363237303362316331303830633265343666373262393963633331`

func TestOperatingSystemPush(t *testing.T) {
	want := Message{ID: 0xbe8180e0, Attributes: []Attribute{
		Skip(ProductInformation{Vendor: PENDebian, Name: "Debian"}),
		Skip(StringVersion{Version: "12.4 x86_64"}),
		Skip(NumericVersion{Major: 12, Minor: 4}),
		Skip(OperationalStatus{Status: Operational, Result: ResultSuccessful, LastUse: time.Date(2026, 11, 23, 8, 44, 53, 0, time.UTC)}),
		Skip(ForwardingStatus{ForwardingDisabled}),
		Skip(FactoryDefaultPassword{false}),
		Skip(DeviceID{"1083f03988c9762703b1c1080c2e46f72b99cc31"}),
	}}
	b := unhex(t, osPush)
	require.Len(t, b, 205)
	require.Equal(t, b, encode(t, want))
	got, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// vectors holds one frame per attribute type: header included.
var vectors = []struct {
	name string
	hex  string
	want Attribute
}{
	{"attribute request", "80000000 00000001 0000001c 00000000 00000002 0000902a 00000008", NoSkip(AttributeRequest{[]Type{TypeProductInformation, TypeITADeviceID}})},
	{"product", "00000000 00000002 00000013 005597 0001 4142", Skip(ProductInformation{Vendor: VendorTCG, Product: 1, Name: "AB"})},
	{"numeric version", "00000000 00000003 0000001c 00000001 00000002 00000003 0004 0005", Skip(NumericVersion{1, 2, 3, 4, 5})},
	{"string version", "00000000 00000004 00000012 0131 0132 0133", Skip(StringVersion{"1", "2", "3"})},
	{"operational status unknown time", "00000000 00000005 00000024 02000000 303030302d30302d30305430303a30303a30305a", Skip(OperationalStatus{Status: OperationalInstalled})},
	{"port filter", "80000000 00000006 00000010 001107e8", NoSkip(PortFilter{[]Port{{Protocol: 17, Port: 2024}}})},
	{"installed packages", "00000000 00000007 00000016 0000 0001 0161 03312e30", Skip(InstalledPackages{[]Package{{"a", "1.0"}}})},
	{"error", "00000000 00000008 00000020 00000000 00000001 0100000001020304 00000014", Skip(InvalidParameter([8]byte{1, 0, 0, 0, 1, 2, 3, 4}, 20))},
	{"error type", "00000000 00000008 00000024 00000000 00000003 0100000001020304 8000902a00000063", Skip(TypeNotSupported([8]byte{1, 0, 0, 0, 1, 2, 3, 4}, true, Type{VendorITA, 0x63}))},
	{"error of TCG", "00000000 00000008 00000018 00005597 00000001 0000e000", Skip(Error{VendorTCG, 1, []byte{0, 0, 0xe0, 0}})},
	{"assessment", "00000000 00000009 00000010 00000002", Skip(AssessmentResult{NonCompliantMajor})},
	{"remediation uri", "00000000 0000000a 00000017 00000000 00000001 783a79", Skip(RemediationInstructions{Parameters: RemediationURI, URI: "x:y"})},
	{"remediation string", "00000000 0000000a 0000001d 00000000 00000002 00000002 6869 02656e", Skip(RemediationInstructions{Parameters: RemediationString, String: "hi", Language: "en"})},
	{"remediation other", "00000000 0000000a 00000016 00005597 00000002 0102", Skip(RemediationInstructions{Vendor: VendorTCG, Parameters: 2, Data: []byte{1, 2}})},
	{"forwarding", "00000000 0000000b 00000010 00000002", Skip(ForwardingStatus{ForwardingUnknown})},
	{"password", "00000000 0000000c 00000010 00000001", Skip(FactoryDefaultPassword{true})},
	{"command", "8000902a 00000001 00000011 616c6c6f77", NoSkip(Command{"allow"})},
	{"dummy", "8000902a 00000002 0000000e dddd", NoSkip(Dummy{2})},
	{"get settings", "0000902a 00000003 00000017 00000001 00052f6574632f", Skip(GetSettings{[]string{"/etc/"}})},
	{"settings", "0000902a 00000004 00000018 00000001 000161 00030a0a0a", Skip(Settings{[]Setting{{"a", []byte("\n\n\n")}}})},
	{"start angel", "0000902a 00000005 0000000c", Skip(StartAngel{})},
	{"stop angel", "0000902a 00000006 0000000c", Skip(StopAngel{})},
	{"get symlinks", "0000902a 00000009 0000000d 2f", Skip(GetSymlinks{"/"})},
	{"symlinks", "0000902a 0000000a 00000021 00000001 0004 2f6c6962 0009 2f7573722f6c69622f", Skip(Symlinks{[]Symlink{{"/lib", "/usr/lib/"}}})},
	{"contract request", "80005597 00000021 00000014 ffffffff 00000018", NoSkip(ContractRequest{Contract{NoLimit, 24}})},
	{"contract response", "00005597 00000022 00000014 ffffffff 00000018", Skip(ContractResponse{Contract{NoLimit, 24}})},
	{"segment", "00005597 00000023 00000012 c0000001 0102", Skip(SegmentEnvelope{More: true, Start: true, BaseMessageID: 1, Data: []byte{1, 2}})},
	{"next segment", "00005597 00000024 00000010 00000001", Skip(NextSegment{BaseMessageID: 1})},
	{"cancel", "00005597 00000024 00000010 80000001", Skip(NextSegment{Cancel: true, BaseMessageID: 1})},
	{"unknown", "00000a8b 00000063 0000000f 010203", Skip(Raw{Type{VendorPWG, 0x63}, []byte{1, 2, 3}})},
}

func TestVectors(t *testing.T) {
	covered := map[Type]bool{TypeITADeviceID: true}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			frame := unhex(t, v.hex)
			covered[v.want.Value.Type()] = true
			b, err := v.want.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, frame, b)
			m, err := Parse(encode(t, Message{ID: 7, Attributes: []Attribute{v.want}}))
			require.NoError(t, err)
			require.Equal(t, []Attribute{v.want}, m.Attributes)

			// Every truncation of the message is an error, every truncation of
			// the value under a true length a valid shorter value or an error.
			full := append([]byte{Version, 0, 0, 0, 0, 0, 0, 7}, frame...)
			for i := MessageHeaderSize + 1; i < len(full); i++ {
				_, err := Parse(full[:i])
				require.Error(t, err, "%d octets", i)
				if i < MessageHeaderSize+AttributeHeaderSize {
					continue
				}
				short := append([]byte(nil), full[:i]...)
				wire.PutU32At(short, MessageHeaderSize+8, uint32(i-MessageHeaderSize))
				if m, err := Parse(short); err == nil && len(m.Attributes) == 1 {
					require.Equal(t, short, encode(t, m))
				}
			}
		})
	}
	for k := range Attributes {
		require.True(t, covered[k], "no vector for %v", k)
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "'IETF/Product Information' 0x000000/0x00000002", TypeProductInformation.String())
	require.Equal(t, "'ITA-HSR/Device ID' 0x00902a/0x00000008", TypeITADeviceID.String())
	require.Equal(t, "'TCG/Request PTS Protocol Capabilities' 0x005597/0x01000000", Type{VendorTCG, 0x01000000}.String())
	require.Equal(t, "0x000001/0x00000002", Type{1, 2}.String())
}

// Each rule of RFC 5792 sections 3.6, 4.1 and 4.2.8 that a message can break.
func TestSyntaxErrorsAreAnswered(t *testing.T) {
	const head = "01000000 01020304"
	good := " 00000000 00000009 00000010 00000000"
	for _, c := range []struct {
		name, hex, answer string // answer: the information
		before            int
	}{
		{"version", "02000000 01020304", "02000000 01020304 01 01 0000", 0},
		{"header cut", head + good + " 0000", "0100000001020304 00000018", 1},
		{"length short", head + good + " 00000000 00000009 0000000b", "0100000001020304 00000020", 1},
		{"length long", head + " 00000000 00000009 0000000d", "0100000001020304 00000010", 0},
		{"length huge", head + " 00000000 00000009 ffffffff", "0100000001020304 00000010", 0},
		{"vendor", head + " 00ffffff 00000009 0000000c", "0100000001020304 00000009", 0},
		{"type", head + " 00000000 ffffffff 0000000c", "0100000001020304 0000000c", 0},
		{"noskip", head + " 8000902a 00000063 0000000c", "0100000001020304 80 00902a 00000063", 0},
		{"value", head + good + " 00000000 0000000c 00000010 00000002", "0100000001020304 00000024", 1},
		{"product", head + " 00000000 00000002 00000011 000000 0001", "0100000001020304 00000017", 0},
		{"NUL", head + " 00000000 00000004 00000011 02 61 00 00 00", "0100000001020304 00000016", 0},
		{"request for an error", head + " 00000000 00000001 00000014 00000000 00000008", "0100000001020304 00000014", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(unhex(t, c.hex))
			var pe *ParseError
			require.ErrorAs(t, err, &pe)
			require.NotNil(t, pe.Answer)
			require.Equal(t, unhex(t, c.answer), pe.Answer.Info)
			require.Len(t, m.Attributes, c.before)
		})
	}
	_, err := Parse([]byte{1, 0, 0, 0, 0, 0, 0})
	require.ErrorIs(t, err, ErrHeader)
	m, err := Parse(unhex(t, head+" 80000000 00000008 00000010 00000000"+good))
	require.NoError(t, err, "a malformed error is ignored")
	require.Len(t, m.Attributes, 1)
}

func TestParseBoundsAttributes(t *testing.T) {
	b := unhex(t, "0100000001020304")
	for range MaxAttributes + 1 {
		b = append(b, unhex(t, "0000902a 00000063 0000000c")...)
	}
	m, err := Parse(b)
	require.ErrorIs(t, err, ErrTooMany)
	require.Len(t, m.Attributes, MaxAttributes)
}

func TestTimes(t *testing.T) {
	got, err := ParseTime([]byte("2016-12-31T23:59:60Z"))
	require.NoError(t, err)
	require.Equal(t, time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC), got)
	for _, bad := range []string{"2016-12-31t23:59:60Z", "2016-13-31T23:59:00Z", "2016-12-31 23:59:00Z"} {
		_, err := ParseTime([]byte(bad))
		require.ErrorIs(t, err, wire.ErrValue, bad)
	}
	_, err = ParseTime([]byte("2016-12-31T23:59:60"))
	require.ErrorIs(t, err, wire.ErrTruncated)
	_, err = ParseTime([]byte("2016-12-31T23:59:60Z."))
	require.ErrorIs(t, err, wire.ErrTrailing)
	require.Equal(t, "2026-01-02T02:04:05Z", string(AppendTime(nil, time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))))
}

func TestLongErrorsAreCut(t *testing.T) {
	b, err := Error{Vendor: VendorTCG, Code: 3, Info: make([]byte, 2000)}.AppendValue(nil)
	require.NoError(t, err)
	require.Len(t, b, 8+MaxErrorInfo)
	_, err = InstalledPackages{Packages: []Package{{Name: strings.Repeat("a", 256)}}}.AppendValue(nil)
	require.ErrorIs(t, err, wire.ErrTooLong)
}

func FuzzParse(f *testing.F) {
	f.Add(unhex(f, osPush))
	for _, v := range vectors {
		f.Add(append([]byte{1, 0, 0, 0, 1, 2, 3, 4}, unhex(f, v.hex)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		out, err := m.AppendBinary(nil)
		if err != nil {
			t.Fatalf("parsed, but does not encode: %v", err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("encoded, but does not parse: %v", err)
		}
		require.Equal(t, len(m.Attributes), len(again.Attributes))
		for _, a := range m.Attributes {
			if e, ok := a.Value.(Error); ok {
				_ = e.String()
			}
		}
	})
}
