package tpm20_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// secretSHA256 is the external data of the vector.
const secretSHA256 = "1bf373d3a27ecba371cc97806653da9122d9f368a824d83ffe750b0658dda675"

const attestVector = `ff544347 8018 0022 000b 0000000000000000000000000000000000000000000000000000000000000000
	0020 1bf373d3a27ecba371cc97806653da9122d9f368a824d83ffe750b0658dda675 0000000000001122 00000003 00000004 01
	2016051100000000 00000001 000b 03 000401 0020 bea75946ae6373e44750e2f80ee59c4f05069735ca01c3105507368e45a9f269`

func TestAttest(t *testing.T) {
	b := unhex(t, attestVector)
	pcrs, replayed := pcr.Select(10, 16), pcr.Values{}
	for i, what := range map[int]string{10: "a", 16: "b"} {
		replayed[i] = pcr.SHA256.Sum(make([]byte, 32), pcr.SHA256.Sum([]byte(what)))
	}
	require.Len(t, b, 145)
	a, err := tpm20.ParseAttest(b)
	require.NoError(t, err)
	assert.Equal(t, append([]byte{0, 0x0b}, make([]byte, 32)...), a.QualifiedSigner)
	assert.Equal(t, unhex(t, secretSHA256), a.ExtraData)
	assert.Equal(t, unhex(t, "0000000000001122 00000003 00000004 01"), a.ClockInfo[:])
	assert.Equal(t, unhex(t, "2016051100000000"), a.FirmwareVersion[:])
	assert.Equal(t, tpm20.PCRSelection(pcr.SHA256, pcrs), a.PCRSelection)
	assert.Equal(t, tpm20.PCRDigest(pcr.SHA256, replayed), a.PCRDigest)
	out, err := tpmtest.AppendAttest(nil, a)
	require.NoError(t, err)
	assert.Equal(t, b, out)
	for n := range b {
		_, err := tpm20.ParseAttest(b[:n])
		assert.Error(t, err, n)
	}
	_, err = tpm20.ParseAttest(append(bytes.Clone(b), 0))
	assert.ErrorIs(t, err, wire.ErrTrailing)
	hostile := bytes.Clone(b)
	copy(hostile[6+2+34+2+32+17+8:], []byte{0xff, 0xff, 0xff, 0xff})
	_, err = tpm20.ParseAttest(hostile)
	assert.ErrorIs(t, err, wire.ErrLength, "4 Gi selections")
}

func FuzzAttest(f *testing.F) {
	f.Add(unhex(f, attestVector))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := tpm20.ParseAttest(b)
		if err != nil {
			return
		}
		out, err := tpmtest.AppendAttest(nil, a)
		require.NoError(t, err)
		require.Equal(t, b, out)
	})
}
