package tpm12

import (
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// locality0 is TPM_LOC_ZERO of the TPM_LOCALITY_SELECTION in a Quote2's
// TPM_PCR_INFO_SHORT.
const locality0 = 0x01

// selection returns a TPM_PCR_SELECTION: u16 3, bit map.
func selection(pcrs pcr.Selection) []byte {
	m := pcrs.Bitmap()
	return append(wire.AppendU16(nil, uint16(len(m))), m[:]...)
}

// Composite returns the hash of TPM_PCR_COMPOSITE (TPM Main Part 2 section 8.2):
// u16 3 | bit map | u32 20·n | values in ascending order of their PCRs.
func Composite(values pcr.Values) []byte {
	b := selection(values.Selection())
	b = wire.AppendU32(b, uint32(pcr.SHA1.Size()*len(values)))
	return pcr.SHA1.Sum(append(b, values.Concat()...))
}

// QuoteInfo returns what a TPM 1.2 signs in a quote (TPM Main Part 2 sections
// 11.3 and 11.4; Part 3 sections 16.3 and 16.5). Version is the
// TPM_CAP_VERSION_INFO of QuoteInfo2Version, unused for other kinds. A kind that
// is not of a TPM 1.2 gives nil.
func QuoteInfo(kind attest.QuoteKind, composite, external []byte, pcrs pcr.Selection, version []byte) []byte {
	switch kind {
	case attest.QuoteInfo:
		b := append([]byte{1, 1, 0, 0}, "QUOT"...)
		return append(append(b, composite...), external...)
	case attest.QuoteInfo2, attest.QuoteInfo2Version:
		b := append(wire.AppendU16(nil, 0x0036), "QUT2"...)
		b = append(append(b, external...), selection(pcrs)...)
		b = append(append(b, locality0), composite...)
		if kind == attest.QuoteInfo2Version {
			b = append(b, version...)
		}
		return b
	}
	return nil
}
