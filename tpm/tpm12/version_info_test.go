package tpm12_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

// encodeVersion encodes TPM_CAP_VERSION_INFO, which only TPMs make.
func encodeVersion(v tpm12.CapVersionInfo) []byte {
	b := append([]byte{0, 0x30}, v.Major, v.Minor, v.RevMajor, v.RevMinor)
	b = append(wire.AppendU16(b, v.SpecLevel), v.ErrataRev)
	b = wire.AppendU16(append(b, v.VendorID[:]...), uint16(len(v.VendorSpecific)))
	return append(b, v.VendorSpecific...)
}

func TestCapVersionInfo(t *testing.T) {
	b := unhex(t, "0030 0102 129e 0002 03 49424d00 0003 aabbcc")
	v, err := tpm12.ParseCapVersionInfo(b)
	require.NoError(t, err)
	assert.Equal(t, tpm12.CapVersionInfo{Major: 1, Minor: 2, RevMajor: 0x12, RevMinor: 0x9e, SpecLevel: 2, ErrataRev: 3,
		VendorID: [4]byte{'I', 'B', 'M', 0}, VendorSpecific: []byte{0xaa, 0xbb, 0xcc}}, v)
	assert.Equal(t, b, encodeVersion(v))
	for n := range b {
		_, err := tpm12.ParseCapVersionInfo(b[:n])
		assert.Error(t, err, n)
	}
}

func FuzzCapVersionInfo(f *testing.F) {
	f.Add(unhex(f, "0030 0102 129e 0002 03 49424d00 0003 aabbcc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := tpm12.ParseCapVersionInfo(b)
		if err != nil {
			return
		}
		require.Equal(t, b, encodeVersion(v))
	})
}
