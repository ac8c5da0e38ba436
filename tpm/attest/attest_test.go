package attest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNames(t *testing.T) {
	assert.Equal(t, "1.2", TPM12.String())
	assert.Equal(t, "2.0", TPM20.String())
	for _, kind := range []QuoteKind{NoQuote, QuoteInfo, QuoteInfo2, QuoteInfo2Version, QuoteTPM20, 1} {
		assert.NotEmpty(t, kind.String())
	}
	assert.ErrorIs(t, ErrKeyUnset, ErrNoKey)
}
