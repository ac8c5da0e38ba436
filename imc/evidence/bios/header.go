package bios

import (
	"encoding/binary"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Header is the Spec ID event, with which a crypto-agile log begins.
type Header struct {
	PlatformClass        uint32
	Major, Minor, Errata uint8
	UintnSize            uint8 // 1: 32 bit, 2: 64 bit
	Algorithms           []HeaderAlgorithm
	VendorInfo           []byte
}

// HeaderAlgorithm is a bank that the log has digests of.
type HeaderAlgorithm struct {
	Algorithm pcr.Hash
	Size      uint16 // octets of a digest
}

const specSignature = "Spec ID Event03\x00"

// parseHeader decodes the data of the Spec ID event. missing is the number of
// octets of vendor information that the event's length leaves out: some firmware
// does not count them.
func parseHeader(b []byte) (h *Header, missing int, err error) {
	le := binary.LittleEndian
	const fixed = len(specSignature) + 12
	if len(b) < fixed {
		return nil, 0, ErrHeader
	}
	p := b[len(specSignature):]
	h = &Header{PlatformClass: le.Uint32(p), Minor: p[4], Major: p[5], Errata: p[6], UintnSize: p[7]}
	n := le.Uint32(p[8:])
	p = p[12:]
	if n == 0 || n > MaxAlgorithms || uint64(len(p)) < 4*uint64(n)+1 {
		return nil, 0, ErrHeader
	}
	for range n {
		a := HeaderAlgorithm{pcr.Hash(le.Uint16(p)), le.Uint16(p[2:])}
		if a.Size == 0 || a.Size > maxDigest || digestSize(a.Algorithm) != 0 && int(a.Size) != digestSize(a.Algorithm) {
			return nil, 0, ErrHeader
		}
		h.Algorithms = append(h.Algorithms, a)
		p = p[4:]
	}
	size, rest := int(p[0]), p[1:]
	if len(rest) > 0 && size > len(rest) {
		return nil, 0, ErrHeader
	}
	h.VendorInfo = rest[:min(size, len(rest))]
	return h, size - len(h.VendorInfo), nil
}
