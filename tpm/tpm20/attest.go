package tpm20

import (
	"bytes"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Constants of TPMS_ATTEST (TPM Library Part 2 sections 6.2 and 6.9).
const (
	attestMagic = 0xff544347 // TPM_GENERATED_VALUE
	attestQuote = 0x8018     // TPM_ST_ATTEST_QUOTE
)

// Attest is a TPMS_ATTEST of a quote (TPM Library Part 2 section 10.12.8), in
// the parts that PTS attributes carry to the verifier:
//
//	u32 magic | u16 type | u16 n, qualifiedSigner | u16 n, extraData
//	| clockInfo (17) | firmwareVersion (8) | pcrSelect | u16 n, pcrDigest
type Attest struct {
	QualifiedSigner []byte // TPM2B_NAME without its length
	ExtraData       []byte
	ClockInfo       [17]byte
	FirmwareVersion [8]byte
	PCRSelection    []byte // TPML_PCR_SELECTION, encoded
	PCRDigest       []byte
}

// maxSelections bounds the banks of one selection: no TPM's HASH_COUNT is larger.
const maxSelections = 16

// ParseAttest decodes a TPMS_ATTEST of a quote. The result owns its octets.
func ParseAttest(b []byte) (Attest, error) {
	r := wire.NewReader("TPMS_ATTEST", b)
	var a Attest
	if at := r.Offset(); r.U32() != attestMagic {
		r.Fail(at, wire.ErrValue)
	}
	if at := r.Offset(); r.U16() != attestQuote {
		r.Fail(at, wire.ErrValue)
	}
	a.QualifiedSigner = bytes.Clone(r.Bytes(int(r.U16())))
	a.ExtraData = bytes.Clone(r.Bytes(int(r.U16())))
	copy(a.ClockInfo[:], r.Bytes(17))
	copy(a.FirmwareVersion[:], r.Bytes(8))
	at := r.Offset()
	n := r.U32()
	if n > maxSelections {
		r.Fail(at, wire.ErrLength)
		n = 0
	}
	sel := wire.AppendU32(nil, n)
	for range n {
		sel = wire.AppendU16(sel, r.U16())
		size := r.U8()
		sel = append(append(sel, size), r.Bytes(int(size))...)
	}
	a.PCRSelection = sel
	a.PCRDigest = bytes.Clone(r.Bytes(int(r.U16())))
	return a, r.Finish()
}

// PCRSelection returns the TPML_PCR_SELECTION of one bank: u32 1, u16 bank,
// u8 3, bit map.
func PCRSelection(bank pcr.Hash, pcrs pcr.Selection) []byte {
	m := pcrs.Bitmap()
	b := wire.AppendU32(nil, 1)
	b = wire.AppendU16(b, uint16(bank))
	return append(append(b, byte(len(m))), m[:]...)
}

// PCRDigest returns the PCR digest of a TPM 2.0's quote: the hash of the
// signing scheme over the values in ascending order of their PCRs.
func PCRDigest(scheme pcr.Hash, values pcr.Values) []byte { return scheme.Sum(values.Concat()) }
