package tpm12

import (
	"bytes"
	"crypto/sha1"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// The replies of a TPM 1.2 behind the HMAC that FuzzReplies does not get past.
func FuzzReplies12(f *testing.F) {
	pcrs := pcr.Select(0, 10)
	quote := wire.AppendU32(append(selection(pcrs), 0, 0, 0, 40), 0)[:9]
	quote = append(append(quote, make([]byte, 40)...), 0, 0, 0, 2, 1, 2)
	f.Add(uint8(attest.QuoteInfo), quote)
	quote2 := append(append(selection(pcrs), locality0), make([]byte, 20)...)
	f.Add(uint8(attest.QuoteInfo2), append(bytes.Clone(quote2), 0, 0, 0, 0, 0, 0, 0, 1, 9))
	f.Add(uint8(attest.QuoteInfo2Version), append(bytes.Clone(quote2), 0, 0, 0, 1, 7, 0, 0, 0, 1, 9))
	key := KeyBlob{Version: versionKey, Usage: KeyUsageIdentity, Algorithm: algRSA, KeyLength: 2048, NumPrimes: 2, Modulus: make([]byte, 256)}
	blob, err := key.AppendBinary(nil)
	require.NoError(f, err)
	f.Add(uint8(0), append(blob, 0, 0, 0, 1, 5))
	f.Fuzz(func(t *testing.T, kind uint8, out []byte) {
		switch k := attest.QuoteKind(kind); k {
		case attest.QuoteInfo, attest.QuoteInfo2, attest.QuoteInfo2Version:
			q, err := parseQuote("TPM_Quote", out, attest.QuoteRequest{PCRs: pcrs, Kind: k, External: make([]byte, 20)})
			if err == nil && (len(q.Signature) == 0 || len(q.Composite) != sha1.Size || len(q.Info) < 48) {
				t.Fatal("half a quote")
			}
		default:
			blob, binding, err := splitIdentity(out)
			if err == nil && len(blob)+4+len(binding) != len(out) {
				t.Fatal("octets got lost")
			}
			_, _ = outVec("TPM_NV_ReadValue", out)
		}
	})
}
