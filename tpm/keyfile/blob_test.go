package keyfile_test

import (
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/tpm/keyfile"
)

// aBlob is the TPM_KEY that package tpm12 has from a log.
func aBlob(t testing.TB) (b []byte) {
	t.Helper()
	dump, err := os.ReadFile("../tpm12/testdata/aik_blob.dump")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^ *[0-9]+: ((?:[0-9A-F]{2} )+)`).FindAllStringSubmatch(string(dump), -1) {
		line, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
		require.NoError(t, err)
		b = append(b, line...)
	}
	require.Len(t, b, 559)
	return b
}

// The file of a TPM 1.2's key is an OCTET STRING in PEM.
func TestParseBlob(t *testing.T) {
	blob := aBlob(t)
	file := pem.EncodeToMemory(&pem.Block{Type: "TSS KEY BLOB", Bytes: append([]byte{0x04, 0x82, 559 >> 8, 559 & 0xff}, blob...)})
	require.True(t, keyfile.IsBlob(file))
	require.False(t, keyfile.Is(file))
	got, err := keyfile.ParseBlob(file)
	require.NoError(t, err)
	require.Equal(t, blob, got)
	written, err := keyfile.MarshalBlob(got)
	require.NoError(t, err)
	require.Equal(t, file, written)
	got, err = keyfile.ParseBlob(append([]byte("-----BEGIN X-----\nAAAA\n-----END X-----\n"), file...))
	require.NoError(t, err)
	require.Equal(t, blob, got, "behind another block")
	_, err = keyfile.MarshalBlob(blob[1:])
	require.Error(t, err)
}

func TestParseBlobRefuses(t *testing.T) {
	der, err := asn1.Marshal(aBlob(t))
	require.NoError(t, err)
	block := func(b []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: keyfile.BlobPEMType, Bytes: b})
	}
	for n := range der {
		_, err := keyfile.ParseBlob(block(der[:n]))
		var d *gotnc.DecodeError
		require.ErrorAs(t, err, &d, "%d octets", n)
	}
	bare, err := asn1.Marshal(aBlob(t)[:558])
	require.NoError(t, err)
	for what, b := range map[string][]byte{
		"no PEM block": []byte("nothing"),
		"more than":    make([]byte, keyfile.MaxSize+1),
		"tags don't":   block(append([]byte{0x30}, der[1:]...)),
		"1 octets":     block(append(der[:len(der):len(der)], 0)),
		"TPM_KEY":      block(bare),
	} {
		_, err := keyfile.ParseBlob(b)
		require.ErrorContains(t, err, what)
	}
}

func FuzzParseBlob(f *testing.F) {
	der, err := asn1.Marshal(aBlob(f))
	require.NoError(f, err)
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		blob, err := keyfile.ParseBlob(pem.EncodeToMemory(&pem.Block{Type: keyfile.BlobPEMType, Bytes: der}))
		if err != nil {
			return
		}
		file, err := keyfile.MarshalBlob(blob)
		require.NoError(t, err)
		again, err := keyfile.ParseBlob(file)
		require.NoError(t, err)
		require.Equal(t, blob, again)
	})
}
