package pcr

import (
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Selection is a set of PCRs: bit i stands for PCR i, i < Count.
type Selection uint32

// All is the set of every PCR that a selection can name.
const All Selection = 1<<Count - 1

// Select returns the set of the given PCRs. PCRs out of range are left out:
// check those that come from outside with Valid.
func Select(pcrs ...int) Selection {
	var s Selection
	for _, i := range pcrs {
		if Valid(i) {
			s |= 1 << i
		}
	}
	return s
}

// Valid reports whether a selection can name PCR i.
func Valid(i int) bool { return i >= 0 && i < Count }

// Has reports whether PCR i is in the set.
func (s Selection) Has(i int) bool { return Valid(i) && s&(1<<i) != 0 }

// Len returns the number of PCRs in the set.
func (s Selection) Len() int { return bits.OnesCount32(uint32(s & All)) }

// PCRs returns the PCRs in ascending order.
func (s Selection) PCRs() []int {
	out := make([]int, 0, s.Len())
	for i := range Count {
		if s.Has(i) {
			out = append(out, i)
		}
	}
	return out
}

// Bitmap returns the three octets of TPM_PCR_SELECTION and
// TPMS_PCR_SELECTION: PCR i is octet i/8, bit i mod 8.
func (s Selection) Bitmap() [3]byte { return [3]byte{byte(s), byte(s >> 8), byte(s >> 16)} }

// String returns the PCRs as "0,1,2,10".
func (s Selection) String() string {
	names := make([]string, 0, s.Len())
	for _, i := range s.PCRs() {
		names = append(names, strconv.Itoa(i))
	}
	return strings.Join(names, ",")
}

// Values holds values of PCRs by their number.
type Values map[int][]byte

// PCRs returns the numbers of the PCRs in ascending order.
func (v Values) PCRs() []int { return slices.Sorted(maps.Keys(v)) }

// Selection returns the set of the PCRs that v holds.
func (v Values) Selection() Selection { return Select(v.PCRs()...) }

// Concat returns the values one after the other, in ascending order of their
// PCRs.
func (v Values) Concat() []byte {
	var out []byte
	for _, i := range v.PCRs() {
		out = append(out, v[i]...)
	}
	return out
}
