package pcr

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHash(t *testing.T) {
	assert.Equal(t, "HASH_SHA2_384", SHA384.String())
	assert.Equal(t, "TPM_ALG 0x0012", Hash(0x12).String())
	assert.Nil(t, Hash(0x12).Sum(nil))
	assert.Zero(t, Hash(0x12).Size())
	for _, h := range Hashes {
		assert.True(t, h.Crypto().Available())
		assert.Equal(t, h.Size(), len(h.Sum([]byte("a"), []byte("b"))))
		assert.Equal(t, h.Sum([]byte("ab")), h.Sum([]byte("a"), []byte("b")))
	}
	assert.Zero(t, Hash(0x12).Crypto())
}
