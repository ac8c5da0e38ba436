package pts

import (
	"bytes"
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
)

// TestErrorLayouts has every code of PTS: those that strongSwan 6.0.6 sends are
// marked, with the octets that it sent.
func TestErrorLayouts(t *testing.T) {
	const file = "000000090000002f2f6e6f6e6578697374656e74" // a measurement of /nonexistent
	request := ErrorInfo{Request: unhex(t, file)}
	of := func(c ErrorCode, request string) ErrorInfo { return ErrorInfo{Code: c, Request: unhex(t, request)} }
	for _, c := range []struct {
		hex, text string
		want      ErrorInfo
	}{
		{"00000001 0000e000" /* strongSwan */, "Hash Algorithm Not Supported: the other side supports HASH_SHA2_384|HASH_SHA2_256|HASH_SHA1",
			ErrorInfo{Code: ErrorHashAlgorithm, Hashes: SHA1 | SHA256 | SHA384}},
		{"00000002" + file, "Invalid Path '/nonexistent'", of(ErrorInvalidPath, file)},
		{"00000003" + file /* strongSwan */, "File Not Found '/nonexistent'", of(ErrorFileNotFound, file)},
		{"00000003 002f0000 2f78", "File Not Found '/x'", of(ErrorFileNotFound, "002f00002f78")},
		{"00000004 484b4c4d", "Registry Not Supported", of(ErrorRegistryNotSupported, "484b4c4d")},
		{"00000005 484b4c4d", "Registry Key Not Found", of(ErrorRegistryKeyNotFound, "484b4c4d")},
		{"00000006 0000f800" /* strongSwan */, "D-H Group Not Supported: the other side supports ECP_384|ECP_256|MODP_2048|MODP_1536|MODP_1024",
			ErrorInfo{Code: ErrorDHGroup, Groups: SupportedGroups &^ ECP521}},
		{"00000007 0014ffff" /* strongSwan */, "DH-PN Nonce Not Acceptable: 20 to 65535 octets are wanted", ErrorInfo{Code: ErrorDHNonce, MinNonce: 20, MaxNonce: 65535}},
		{"00000008 10000000 00902a 61 00000003", "Invalid Functional Name Family", of(ErrorNameFamily, "1000000000902a6100000003")},
		{"00000009 00000000" /* strongSwan */, "TPM Version Information Unavailable", of(ErrorTPMVersionUnavailable, "00000000")},
		{"0000000a 00000009 0000007c 2f78", "Invalid File Pathname Delimiter '/x'", of(ErrorDelimiter, "000000090000007c2f78")},
		{"0000000b 0102", "PTS Operation Not Supported", of(ErrorOperation, "0102")},
		{"0000000c 0102", "Unable To Update Reference Manifest", of(ErrorReferenceManifest, "0102")},
		{"0000000d 40000000 00902a 21 00000003", "Unable To Perform Local Validation", of(ErrorLocalValidation, "4000000000902a2100000003")},
		{"0000000e 20000000 00902a 21 00000003", "Unable To Collect Current Evidence", of(ErrorCurrentEvidence, "2000000000902a2100000003")},
		{"0000000f 80000000 00902a 21 00000003", "Unable To Determine Transitive Trust Chain", of(ErrorTransitiveTrust, "8000000000902a2100000003")},
		{"00000010 10000000 00902a 21 00000003" /* strongSwan */, "Unable To Determine PCR", of(ErrorPCR, "1000000000902a2100000003")},
		{"00000011 01", "PTS error 17", of(17, "01")},
	} {
		t.Run(c.text, func(t *testing.T) {
			frame := append([]byte{0, 0x00, 0x55, 0x97}, unhex(t, c.hex)...)
			e := c.want.PATNC()
			b, err := e.AppendValue(nil)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(frame), hex.EncodeToString(b))
			got, err := ParseErrorInfo(e)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Equal(t, c.text, got.String())
			for n := range e.Info { // every truncated prefix
				got, err := ParseErrorInfo(patnc.Error{Vendor: e.Vendor, Code: e.Code, Info: e.Info[:n]})
				if c.want.Request == nil {
					require.Error(t, err, "%d octets", n)
				} else {
					require.NoError(t, err)
					require.NotEmpty(t, got.String())
				}
			}
		})
	}
	_, err := ParseErrorInfo(patnc.Error{Vendor: patnc.VendorITA, Code: 1})
	require.Error(t, err)
	long := ErrorInfo{Code: ErrorFileNotFound, Request: bytes.Repeat([]byte{'a'}, 5000)}
	require.Len(t, long.PATNC().Info, patnc.MaxErrorInfo)
	path, ok := request.Path()
	require.True(t, ok)
	require.Equal(t, "/nonexistent", path)
}

// TestUnsupportedRequests: the protocol has an error for what nobody here can do.
func TestUnsupportedRequests(t *testing.T) {
	m := NewMachine(Config{})
	for typ, want := range map[patnc.Type]ErrorCode{
		TypeRequestRegistryValue:            ErrorRegistryNotSupported,
		TypeUpdateTemplateManifest:          ErrorReferenceManifest,
		TypeRequestTemplateManifestMetadata: ErrorOperation,
		TypeRequestIntegrityMeasurementLog:  ErrorOperation,
	} {
		frame := append(unhex(t, "0100000000000007 80005597"), byte(typ.Type>>24), byte(typ.Type>>16), byte(typ.Type>>8), byte(typ.Type), 0, 0, 0, 14, 0xAB, 0xCD)
		parsed, err := patnc.Parse(frame, Attributes)
		require.NoError(t, err)
		out, err := m.Handle(context.Background(), parsed.Attributes[0].Value)
		require.NoError(t, err)
		require.Equal(t, []patnc.Attribute{patnc.Skip(ErrorInfo{Code: want, Request: []byte{0xAB, 0xCD}}.PATNC())}, out)
	}
	out, err := m.Handle(context.Background(), patnc.Raw{T: TypeVerificationResult})
	require.NoError(t, err)
	require.Empty(t, out)
}
