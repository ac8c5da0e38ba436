package tpm12_test

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

// secretSHA1 is the external data of the vectors.
const secretSHA1 = "f5496bf838c3ea9f23bd8aa7fa9ebaa9f5eb21d9"

// What TPM_Quote and TPM_Quote2 sign over the measurements "a" in PCR 10 and "b" in
// PCR 16.
func TestQuoteInfo(t *testing.T) {
	pcrs := pcr.Select(10, 16)
	values := pcr.Values{
		16: unhex(t, "f823a51d6b6e10926450b5a5d42c510469caead6"),
		10: unhex(t, "b311ff7e540d671f5b54ed190d402a1d064fbecb"),
	}
	for i, what := range map[int]string{10: "a", 16: "b"} {
		assert.Equal(t, values[i], pcr.SHA1.Sum(make([]byte, 20), pcr.SHA1.Sum([]byte(what))), "what a verifier replays")
	}
	composite := tpm12.Composite(values)
	assert.Equal(t, unhex(t, "d4f4457811599f39182343e38fc37139096718a1"), composite)
	for kind, want := range map[attest.QuoteKind]struct {
		length int
		sha1   string
	}{
		attest.QuoteInfo:  {48, "91df99ba2520f0e93f38a8f1a884dd76c12b7189"},
		attest.QuoteInfo2: {52, "ad1b977becb2914f50a2255f8b0647228e55618c"},
	} {
		info := tpm12.QuoteInfo(kind, composite, unhex(t, secretSHA1), pcrs, nil)
		assert.Len(t, info, want.length)
		d := sha1.Sum(info)
		assert.Equal(t, want.sha1, hex.EncodeToString(d[:]))
	}
	version := unhex(t, "0030 0102 129e 0002 03 49424d00 0000")
	assert.Len(t, tpm12.QuoteInfo(attest.QuoteInfo2Version, composite, unhex(t, secretSHA1), pcrs, version), 52+15)
	assert.Nil(t, tpm12.QuoteInfo(attest.QuoteTPM20, composite, nil, pcrs, nil))
}
