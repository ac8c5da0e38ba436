package packages

import (
	"context"
	"encoding/binary"
	"io"
)

// Layout of rpm's ndb, little-endian: a header of 32 octets, then slots of 16 up
// to the end of its pages, then blobs in blocks of 16 octets.
const (
	ndbMagic  = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlot   = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlob   = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbHeader = 32
	ndbPage   = 4096
	ndbBlock  = 16
)

// rpmFromNDB reads the Packages.db of openSUSE and SLE.
func rpmFromNDB(ctx context.Context, r io.ReaderAt, octets int64) (list, error) {
	var head [ndbHeader]byte
	if err := readAt(r, head[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	pages := le.Uint32(head[12:])
	if le.Uint32(head[:]) != ndbMagic || le.Uint32(head[4:]) != 0 || pages == 0 || int64(pages)*ndbPage > octets {
		return nil, errRPM
	}
	slots := make([]byte, int(pages)*ndbPage-ndbHeader)
	if err := readAt(r, slots, ndbHeader); err != nil {
		return nil, err
	}
	var found list
	for s := slots; len(s) >= ndbBlock; s = s[ndbBlock:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pkg, at, blocks := le.Uint32(s[4:]), int64(le.Uint32(s[8:]))*ndbBlock, int64(le.Uint32(s[12:]))*ndbBlock
		if le.Uint32(s) != ndbSlot {
			return nil, errRPM
		}
		if pkg == 0 || at == 0 {
			continue
		}
		var blob [16]byte
		if err := readAt(r, blob[:], at); err != nil {
			return nil, err
		}
		size := int64(le.Uint32(blob[12:]))
		if le.Uint32(blob[:]) != ndbBlob || le.Uint32(blob[4:]) != pkg || size > blocks-16 || size > maxRPMHeader {
			return nil, errRPM
		}
		for _, limit := range [...]int64{rpmPrefix, maxRPMHeader} {
			b := make([]byte, min(size, limit))
			if err := readAt(r, b, at+16); err != nil {
				return nil, err
			}
			more, err := found.addHeader(b)
			if err != nil || more && limit == maxRPMHeader {
				return nil, errRPM
			}
			if !more {
				break
			}
		}
	}
	return found, nil
}
