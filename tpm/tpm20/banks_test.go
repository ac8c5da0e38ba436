package tpm20_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// A bank that is switched off is not offered, and no quote pretends to be of it.
func TestBankThatIsOff(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM20, "--pcr-banks", "sha256,sha384")
	p := e.Open(t).(*tpm20.TPM)
	banks, err := p.Banks(t.Context())
	require.NoError(t, err)
	require.Equal(t, []pcr.Hash{pcr.SHA256, pcr.SHA384}, banks)
	key, err := p.CreateAK(t.Context(), tpm20.AKRequest{}, tpm20.Auth{})
	require.NoError(t, err)
	req := tpm.QuoteRequest{AIK: tpm.AIK{Handle: key.Handle}, PCRs: pcr.Select(0, 10), External: []byte("nonce")}
	for _, bank := range []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512} {
		req.Bank = bank
		_, err := p.Quote(t.Context(), req)
		if bank == pcr.SHA1 || bank == pcr.SHA512 {
			require.ErrorIs(t, err, tpm.ErrNoBank, "%v", bank)
		} else {
			require.NoError(t, err, "%v", bank)
		}
	}
}
