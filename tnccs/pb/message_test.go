package pb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageHeaderErrors(t *testing.T) {
	inv := CodeInvalidParameter
	bad(t, "80 000000 00000001 000000", inv, 8)                              // 11 octets
	bad(t, "80 000000 00000001 00000019 0000000000000000 00000000", inv, 16) // longer than the batch
	bad(t, "80 000000 00000001 ffffffff 0000000000000000 00000000", inv, 16)
	bad(t, "00 ffffff 00000001 0000000c", inv, 9)
	bad(t, "00 000001 ffffffff 0000000c", inv, 12)
	bad(t, "00 000001 00000001 0000000b", inv, 16)
	bad(t, "80 000001 00000001 0000000c", CodeUnsupportedMandatory, 8)
	bad(t, "80 000000 00000000 0000000c", CodeUnsupportedMandatory, 8) // experimental
	bad(t, "80 00902a 00000000 0000000c", CodeUnsupportedMandatory, 8) // noskip test
	bad(t, "00 000000 00000001 00000018 00 000001 00000001 0001 0001", inv, 8)
	bad(t, "80 000000 00000003 00000010 0000 0001", inv, 8)
	bad(t, "80 000000 00000002 00000014 00000000 00000000", inv, 8) // fixed length
	// The second message is at fault: its place counts.
	bad(t, "00 000001 00000001 0000000d aa  80 000001 00000001 0000000c", CodeUnsupportedMandatory, 21)
}

func TestServersMessagesFromAClient(t *testing.T) {
	m, err := ReasonString{"a", ""}.AppendBinary(nil)
	require.NoError(t, err)
	_, err = Parse(wrap(false, CDATA, m), Server)
	var pe *ProtocolError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, CodeInvalidParameter, pe.Code)
	require.EqualValues(t, 8, pe.Offset)
}

func TestUnknownMessagesAreKept(t *testing.T) {
	vector(t, "7f 000001 00000009 0000000f 010203", Raw{Flags: 0x7f, Kind: MessageType{1, 9}, Value: []byte{1, 2, 3}})
	vector(t, "00 000000 00000000 0000000d 01", Raw{Kind: TypeExperimental, Value: []byte{1}})
}

func TestPA(t *testing.T) {
	vector(t, "80 000000 00000001 0000001a  80 005597 00000001 0002 0003 aabb",
		PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: 2, Validator: 3, Body: []byte{0xaa, 0xbb}})
	bad(t, "80 000000 00000001 00000018  00 ffffff 00000001 0002 0003", CodeInvalidParameter, 21)
	bad(t, "80 000000 00000001 00000018  00 005597 ffffffff 0002 0003", CodeInvalidParameter, 24)
	for _, m := range []PA{{Vendor: VendorReserved}, {Subtype: TypeReserved}, {Vendor: 1 << 24}} {
		_, err := m.AppendBinary(nil)
		require.Error(t, err)
	}
}

func TestAssessmentResult(t *testing.T) {
	vector(t, "80 000000 00000002 00000010 00000004", AssessmentResult{DontKnow})
	bad(t, "80 000000 00000002 00000010 00000005", CodeInvalidParameter, 20)
	_, err := AssessmentResult{5}.AppendBinary(nil)
	require.Error(t, err)
}

func TestAccessRecommendation(t *testing.T) {
	vector(t, "00 000000 00000003 00000010 0000 0003", AccessRecommendation{Quarantined})
	bad(t, "00 000000 00000003 00000010 0000 0000", CodeInvalidParameter, 22)
	bad(t, "00 000000 00000003 00000010 0000 0004", CodeInvalidParameter, 22)
	_, err := AccessRecommendation{}.AppendBinary(nil)
	require.Error(t, err)
}

func TestRemediationParameters(t *testing.T) {
	vector(t, "00 000000 00000004 0000001d 00 000000 00000001 687474703a2f2f612f", RemediationParameters{Type: RemediationURI, URI: "http://a/"})
	vector(t, "00 000000 00000004 0000001d 00 000000 00000002 00000002 6869 02 656e", RemediationParameters{Type: RemediationString, Text: "hi", Language: "en"})
	vector(t, "00 000000 00000004 00000016 00 005597 00000009 0102", RemediationParameters{Vendor: 0x5597, Type: 9, Data: []byte{1, 2}})
	bad(t, "00 000000 00000004 00000016 00 000000 00000001 6800", CodeInvalidParameter, 29)
	bad(t, "00 000000 00000004 0000001d 00 000000 00000002 00000006 6869 02 656e", CodeInvalidParameter, 28)
	bad(t, "00 000000 00000004 0000001d 00 000000 00000002 00000002 6869 03 656e", CodeInvalidParameter, 34)
	bad(t, "00 000000 00000004 0000001d 00 000000 00000002 00000002 6869 01 656e", CodeInvalidParameter, 36)
	bad(t, "00 000000 00000004 0000001d 00 000000 00000002 00000002 6869 02 6500", CodeInvalidParameter, 36)
}

func TestLanguagePreference(t *testing.T) {
	vector(t, "00 000000 00000006 0000001f 4163636570742d4c616e67756167653a20656e", LanguagePreference{"en"})
	vector(t, "00 000000 00000006 0000000c", LanguagePreference{})
	bad(t, "00 000000 00000006 0000000e 656e", CodeInvalidParameter, 20)
	bad(t, "00 000000 00000006 0000001f 4163636570742d4c616e67756167653a206500", CodeInvalidParameter, 38)
	_, err := LanguagePreference{"e\nn"}.AppendBinary(nil)
	require.Error(t, err)
}

func TestReasonString(t *testing.T) {
	vector(t, "00 000000 00000007 00000018  00000005 68656c6c6f 02 656e", ReasonString{"hello", "en"})
	vector(t, "00 000000 00000007 00000012  00000001 68 00", ReasonString{"h", ""})
	bad(t, "00 000000 00000007 00000018  ffffffff 68656c6c6f 02 656e", CodeInvalidParameter, 20)
	bad(t, "00 000000 00000007 00000018  00000005 6865006c6f 02 656e", CodeInvalidParameter, 26)
	bad(t, "00 000000 00000007 00000019  00000005 68656c6c6f 02 656e 00", CodeInvalidParameter, 32)
	_, err := ReasonString{Text: "a\x00"}.AppendBinary(nil)
	require.Error(t, err)
	_, err = ReasonString{Text: "a", Language: string(make([]byte, 256))}.AppendBinary(nil)
	require.Error(t, err)
}

func TestPDPReferral(t *testing.T) {
	vector(t, "00 005597 00000001 00000027  00 005597 00000000  00 00 010f 7064702e6578616d706c652e6f7267",
		PDPReferral{Vendor: VendorTCG, Type: PDPFQDN, Port: 271, Host: "pdp.example.org"})
	vector(t, "00 005597 00000001 0000001c  00 005597 00000001  00 00 010f c0a80001",
		PDPReferral{Vendor: VendorTCG, Type: PDPIPv4, Port: 271, Host: "192.168.0.1"})
	vector(t, "00 005597 00000001 00000028  00 005597 00000002  00 00 010f fec00000000000000000000000000001",
		PDPReferral{Vendor: VendorTCG, Type: PDPIPv6, Port: 271, Host: "fec0::1"})
	vector(t, "00 005597 00000001 00000015  00 000001 00000000 aa", PDPReferral{Vendor: 1, Data: []byte{0xaa}})
	bad(t, "00 005597 00000001 0000001d  00 005597 00000001  00 00 010f c0a8000100", CodeInvalidParameter, 36)
	for _, h := range []string{"name", "::1", "fe80::1%eth0"} {
		_, err := PDPReferral{Vendor: VendorTCG, Type: PDPIPv4, Host: h}.AppendBinary(nil)
		require.Error(t, err)
	}
}

func TestMutualCapability(t *testing.T) {
	vector(t, "00 00902a 00000001 00000010  80000000", MutualCapability{MutualHalfDuplex})
}

func TestError(t *testing.T) {
	m := Error{Fatal: true, Code: CodeInvalidParameter, Parameters: []byte{0, 0, 0, 8}}
	vector(t, "80 000000 00000005 00000018  80 000000 0001 0000 00000008", m)
	o, ok := m.Offset()
	require.True(t, ok)
	require.EqualValues(t, 8, o)
	for _, tt := range []struct {
		m    Error
		text string
	}{
		{m, "received fatal PB-TNC error 'Invalid Parameter' (offset 8 bytes)"},
		{Error{Code: CodeVersionNotSupported, Parameters: []byte{3, 2, 2, 0}}, "received non-fatal PB-TNC error 'Version Not Supported' caused by bad version 0x03"},
		{Error{Vendor: 0x5597, Code: 9}, "received non-fatal PB-TNC error (9) with Vendor ID 0x005597"},
		{Error{Fatal: true, Code: CodeLocalError, Parameters: []byte{0, 0, 0, 0}}, "received fatal PB-TNC error 'Local Error'"},
	} {
		require.EqualError(t, &PeerError{Received: tt.m}, tt.text)
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "IETF/PB-Language-Preference", TypeLanguagePreference.String())
	require.Equal(t, "TCG/(9)", MessageType{VendorTCG, 9}.String())
}
