package bios

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// The log of the ACPI table CCEL is the whole area that the firmware reserved for it;
// so are copies of TXT's and of some firmware's.
func TestPaddedLog(t *testing.T) {
	sum := make([]byte, 20)
	sum[0] = 1
	for name, log := range map[string][]byte{"crypto-agile": agileLog(), "SHA-1": sha1Event(2, PostCode, sum, []byte("x"))} {
		_, want := all(t, log)
		for _, pad := range []byte{0, 0xFF} {
			for _, n := range []int{28, 4096, 70000} {
				padded := append(bytes.Clone(log), bytes.Repeat([]byte{pad}, n)...)
				_, got := all(t, padded)
				require.Equal(t, want, got, "%s: %d octets of %#x", name, n, pad)
				r := NewReader(bytes.NewReader(append(padded, 1)))
				var err error
				for err == nil {
					_, err = r.Next()
				}
				require.ErrorIs(t, err, ErrPadding)
				_, again := r.Next()
				require.Equal(t, err, again)
			}
		}
	}
}

// An event of PCR 0 and type 0 that has a digest is an event.
func TestEventOfTypeZero(t *testing.T) {
	sum := make([]byte, 20)
	sum[19] = 1
	_, es := all(t, append(sha1Event(1, PostCode, sum, nil), sha1Event(0, PrebootCert, sum, nil)...))
	require.Len(t, es, 2)
	require.Equal(t, PrebootCert, es[1].Type)
	_, es = all(t, append(agileLog(), agile(0, PrebootCert, nil)...))
	require.Len(t, es, 6)
}

// Padding without end is not read for ever.
func TestEndlessPadding(t *testing.T) {
	b := agileLog()
	r := NewReader(io.MultiReader(bytes.NewReader(b), endless(0xFF)))
	var err error
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorIs(t, err, ErrPadding)
}

type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

// Some firmware does not count the vendor information in the length of the Spec ID
// event.
func TestVendorInformationOutsideOfTheEvent(t *testing.T) {
	b := specID(4, 20, 11, 32)
	b[len(b)-1] = 3
	b = append(b, 'a', 'b', 'c')
	r, es := all(t, append(b, agile(4, SCRTMVersion, []byte("1"))...))
	require.Equal(t, []byte("abc"), r.Header().VendorInfo)
	require.Len(t, es, 2)
	require.NotNil(t, es[1].Digest(pcr.SHA256))
	_, err := NewReader(bytes.NewReader(b[:len(b)-1])).Next()
	require.ErrorIs(t, err, ErrTruncated)
}

// Windows writes EV_NO_ACTION with PCR 0xFFFFFFFF.
func TestEventOfNoPCR(t *testing.T) {
	_, es := all(t, append(agileLog(), agile(0xFFFFFFFF, NoAction, []byte("signed"))...))
	require.Len(t, es, 6)
	require.False(t, es[5].Extends())
}
