package ike

import (
	"encoding/binary"
	"slices"
)

// earlyDeletes are SPIs of CHILD_SAs that the peer deleted and that we do not know:
// its DELETE may overtake the answer to our CREATE_CHILD_SA which tells of them.
// They are kept until that answer is here.
type earlyDeletes struct {
	spis []uint32
}

// maxEarlyDeletes caps them.
const maxEarlyDeletes = 64

func (e *earlyDeletes) add(spi []byte) {
	if len(spi) == 4 && len(e.spis) < maxEarlyDeletes {
		e.spis = append(e.spis, binary.BigEndian.Uint32(spi))
	}
}

// take reports whether spiOut was deleted, and forgets all.
func (e *earlyDeletes) take(spiOut uint32) bool {
	deleted := slices.Contains(e.spis, spiOut)
	e.spis = nil
	return deleted
}
