package privacyca

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

func keyRequest() *KeyRequest {
	return &KeyRequest{
		CSR: []byte("csr"), Area: []byte("area"), AIKCertificate: []byte("cert"),
		Certification: tpm20.Certification{Info: []byte("info"), Scheme: tpm20.ECDSA, Hash: pcr.SHA384, Signature: []byte("sig")},
	}
}

func TestParseKeyRequest(t *testing.T) {
	text := keyRequest().Encode()
	require.True(t, IsKeyRequest(text))
	require.False(t, IsKeyRequest([]byte("-----BEGIN CERTIFICATE REQUEST-----\n")))
	r, err := ParseKeyRequest(text)
	require.NoError(t, err)
	require.Equal(t, keyRequest(), r)
	for n := 0; n < len(text)-1; n++ {
		_, err := ParseKeyRequest(text[:n])
		require.Error(t, err, "%d octets", n)
	}
	r.Certification.Hash = 0
	_, err = ParseKeyRequest(r.Encode())
	require.ErrorContains(t, err, "unknown")
}

func FuzzParseKeyRequest(f *testing.F) {
	f.Add(keyRequest().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseKeyRequest(b)
		if err != nil {
			return
		}
		again, err := ParseKeyRequest(r.Encode())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
