package pts

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	require.NoError(t, err)
	return b
}

const sha384OfHello = "1d0f284efe3edea4b9ca3bd514fa134b17eae361ccc7a1eefeff801b9bd6604e01f21f6bf249ef030599f0c218f2ba8c"

var ima = ComponentName{Vendor: patnc.VendorITA, Qualifier: 0x21, Name: 3}

// vectors holds one frame per attribute type; those of strongSwan 6.0.6 are
// marked.
var vectors = []struct {
	name string
	hex  string
	want patnc.Attribute
}{
	{"request capabilities (strongSwan)", "80005597 01000000 00000010 0000000e", patnc.NoSkip(RequestProtocolCapabilities{CapVerify | CapDHNonce | CapTPM})},
	{"capabilities (strongSwan)", "00005597 02000000 00000010 00000008", patnc.Skip(ProtocolCapabilities{CapVerify})},
	{"algorithms (strongSwan)", "80005597 06000000 00000010 0000e000", patnc.NoSkip(MeasurementAlgorithm{SHA1 | SHA256 | SHA384})},
	{"algorithm selection (strongSwan)", "00005597 07000000 00000010 00002000", patnc.Skip(MeasurementAlgorithmSelection{SHA384})},
	{"nonce request (strongSwan)", "80005597 03000000 00000010 00001000", patnc.NoSkip(DHNonceParametersRequest{Groups: ECP256})},
	{"nonce response", "00005597 04000000 00000017 000000 01 1000 2000 aa bbcc", patnc.Skip(DHNonceParametersResponse{Group: ECP256, Hashes: SHA384, Nonce: []byte{0xaa}, Public: []byte{0xbb, 0xcc}})},
	{"nonce finish", "80005597 05000000 00000013 00 01 2000 bbcc aa", patnc.NoSkip(DHNonceFinish{Hash: SHA384, Nonce: []byte{0xaa}, Public: []byte{0xbb, 0xcc}})},
	{"get TPM version", "80005597 08000000 00000010 00000000", patnc.NoSkip(GetTPMVersionInformation{})},
	{"TPM version", "00005597 09000000 00000010 01020304", patnc.Skip(TPMVersionInformation{[]byte{1, 2, 3, 4}})},
	{"get AIK", "80005597 0d000000 00000010 00000000", patnc.NoSkip(GetAIK{})},
	{"AIK", "00005597 0e000000 00000010 80 300100", patnc.Skip(AIK{Naked: true, DER: []byte{0x30, 1, 0}})},
	{"request file measurement", "80005597 00c00000 0000001a 80 00 0007 0000002f 2f657463 2f78", patnc.NoSkip(RequestFileMeasurement{Directory: true, RequestID: 7, Delimiter: '/', Path: "/etc/x"})},
	{"file measurement (strongSwan)", "80005597 00d00000 0000004f 0000000000000001 0007 0030" + sha384OfHello + "0005 612e747874",
		patnc.NoSkip(FileMeasurement{RequestID: 7, Files: []MeasuredFile{{Name: "a.txt"}}})},
	{"request file metadata", "80005597 00700000 00000016 00 2f 0000 2f6574632f78", patnc.NoSkip(RequestFileMetadata{Delimiter: '/', Path: "/etc/x"})},
	{"file metadata (strongSwan's form)", `80005597 00900000 0000004d 0000000000000001 0039 08 00 0000000000000006
		0000000065920080 0000000065920081 0000000065920082 0000000000000000 0000000000000001 612e747874`,
		patnc.NoSkip(UnixFileMetadata{[]FileMetadata{{Name: "a.txt", Type: FileRegular, Size: 6, Created: time.Unix(0x65920080, 0).UTC(),
			Modified: time.Unix(0x65920081, 0).UTC(), Accessed: time.Unix(0x65920082, 0).UTC(), Group: 1}}})},
	{"request component (strongSwan)", "80005597 00100000 00000018 10 000000 00902a 21 00000003",
		patnc.NoSkip(RequestFunctionalComponentEvidence{[]ComponentRequest{{Flags: RequestPCR, Component: ima}}})},
	{"generate evidence", "80005597 00200000 00000010 00000000", patnc.NoSkip(GenerateAttestationEvidence{})},
	{"component evidence", `00005597 00300000 00000042 e0 000000 00902a2100000003 80 00000a 4000 01 00
		323032362d31312d32335430383a34343a35335a 0001 75 0002 0102 0304 aabbccdd ee`,
		patnc.Skip(SimpleComponentEvidence{Component: ima, PCR: 10, Hash: SHA256, Transform: TransformMatch, Validation: ValidationPassed, PolicyURI: "u",
			Time: time.Date(2026, 11, 23, 8, 44, 53, 0, time.UTC), PCRs: &PCRInfo{[]byte{1, 2}, []byte{3, 4}}, Measurement: []byte{0xaa, 0xbb, 0xcc, 0xdd, 0xee}})},
	{"request registry value", "80005597 00a00000 0000000e abcd", patnc.NoSkip(patnc.Raw{T: TypeRequestRegistryValue, Data: []byte{0xab, 0xcd}})},
	{"request measurement log", "80005597 00e00000 0000000d ab", patnc.NoSkip(patnc.Raw{T: TypeRequestIntegrityMeasurementLog, Data: []byte{0xab}})},
	{"request manifest metadata", "80005597 0a000000 0000000d ab", patnc.NoSkip(patnc.Raw{T: TypeRequestTemplateManifestMetadata, Data: []byte{0xab}})},
	{"update manifest", "80005597 0c000000 0000000d ab", patnc.NoSkip(patnc.Raw{T: TypeUpdateTemplateManifest, Data: []byte{0xab}})},
	{"evidence final without quote", "00005597 00400000 00000010 00000000", patnc.Skip(SimpleEvidenceFinal{})},
	{"evidence final TPM 2.0", "00005597 00400000 00000028 10 00 4000 00000001 aa 0001 01 0001 02 0001 03 0001 04 00000003 bbbbbb",
		patnc.Skip(SimpleEvidenceFinal{Kind: QuoteTPM20, CompositeHash: SHA256, Composite: []byte{0xaa}, Signature: []byte{0xbb, 0xbb, 0xbb},
			TPM20: TPM20Quote{[]byte{1}, []byte{2}, []byte{3}, []byte{4}}})},
}

func init() {
	sum, _ := hex.DecodeString(sha384OfHello)
	for i := range vectors {
		if v, ok := vectors[i].want.Value.(FileMeasurement); ok {
			v.Files[0].Measurement = sum
		}
	}
}

func TestVectors(t *testing.T) {
	covered := map[patnc.Type]bool{}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			frame := unhex(t, v.hex)
			covered[v.want.Value.Type()] = true
			b, err := v.want.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(frame), hex.EncodeToString(b))
			full := append([]byte{patnc.Version, 0, 0, 0, 0, 0, 0, 7}, frame...)
			m, err := patnc.Parse(full, Attributes)
			require.NoError(t, err)
			require.Equal(t, []patnc.Attribute{v.want}, m.Attributes)
			for i := patnc.MessageHeaderSize + patnc.AttributeHeaderSize; i < len(full); i++ {
				_, err := patnc.Parse(full[:i], Attributes)
				require.Error(t, err, "%d octets", i)
				short := append([]byte(nil), full[:i]...)
				wire.PutU32At(short, patnc.MessageHeaderSize+8, uint32(i-patnc.MessageHeaderSize))
				if m, err := patnc.Parse(short, Attributes); err == nil {
					again, err := m.AppendBinary(nil)
					require.NoError(t, err)
					require.Equal(t, short, again)
				}
			}
		})
	}
	for k := range Attributes {
		require.True(t, covered[k], "no vector for %v", k)
	}
}

func TestMalformedValues(t *testing.T) {
	for name, c := range map[string]struct {
		hex    string
		offset uint32
	}{
		"too many files":       {"80005597 00d00000 00000018 ffffffffffffffff 0007 0030", 20},
		"metadata length":      {"80005597 00900000 00000048 0000000000000001 0033" + strings.Repeat("00", 50), 28},
		"name family":          {"80005597 00100000 00000018 10 000000 00902a 61 00000003", 20},
		"no component":         {"80005597 00100000 0000000c", 20},
		"NUL in path":          {"80005597 00c00000 00000016 80 00 0007 0000002f 2f00", 29},
		"nonce over the value": {"80005597 05000000 00000012 00 03 2000 bbcc", 24},
		"quote kind":           {"00005597 00400000 00000010 50000000", 20},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := patnc.Parse(append([]byte{1, 0, 0, 0, 0, 0, 0, 7}, unhex(t, c.hex)...), Attributes)
			var pe *patnc.ParseError
			require.ErrorAs(t, err, &pe)
			offset, ok := pe.Answer.Offset()
			require.True(t, ok)
			require.Equal(t, c.offset, offset)
		})
	}
}

func TestFileMeasurementWantsOneLength(t *testing.T) {
	_, err := FileMeasurement{Files: []MeasuredFile{{Measurement: []byte{1}}, {Measurement: []byte{1, 2}}}}.AppendValue(nil)
	require.ErrorIs(t, err, wire.ErrLength)
}

func TestNames(t *testing.T) {
	require.Equal(t, ".V...", CapVerify.String())
	require.Equal(t, "CVDTX", Capabilities(0x1f).String())
	require.Equal(t, "HASH_SHA2_256", SHA256.String())
	require.Equal(t, "ECP_384|ECP_256", (ECP256 | ECP384).String())
	require.Equal(t, "File Not Found", ErrorFileNotFound.String())
	require.Equal(t, "Regular", FileRegular.String())
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(append([]byte{1, 0, 0, 0, 1, 2, 3, 4}, unhex(f, v.hex)...))
	}
	for code := range len(errorNames) {
		f.Add(unhex(f, fmt.Sprintf("0100000001020304 00000000 00000008 0000001c 00005597 %08x 00000007 0000002f", code)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := patnc.Parse(b, Attributes)
		if err != nil {
			return
		}
		for _, a := range m.Attributes {
			if e, ok := a.Value.(patnc.Error); ok && e.Vendor == patnc.VendorTCG {
				if i, err := ParseErrorInfo(e); err == nil && (i.String() == "" || len(i.PATNC().Info) > patnc.MaxErrorInfo) {
					t.Fatalf("%+v", i)
				}
			}
		}
		out, err := m.AppendBinary(nil)
		if err != nil {
			t.Fatalf("parsed, but does not encode: %v", err)
		}
		if _, err := patnc.Parse(out, Attributes); err != nil {
			t.Fatalf("encoded, but does not parse: %v", err)
		}
	})
}
