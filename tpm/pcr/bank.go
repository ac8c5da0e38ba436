// Package pcr describes the Platform Configuration Registers of a TPM without
// talking to one: the hash algorithms of their banks (Hash), sets of them
// (Selection), their values (Values), and a simulation that computes what they
// hold after a sequence of measurements (Bank).
package pcr

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
)

// Count is the number of PCRs of a PC client TPM.
const Count = 24

// Algorithms are the hash algorithms of the banks that a Bank replays.
var Algorithms = [...]crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}

// MaxSize is the octets of the largest digest among Algorithms.
const MaxSize = sha512.Size

// Supported reports whether a Bank can be made for the algorithm.
func Supported(h crypto.Hash) bool {
	for _, a := range Algorithms {
		if a == h {
			return true
		}
	}
	return false
}

// AppendSum appends the digest of data to b. It allocates nothing where b has
// room. The algorithm is one of Algorithms; for another b is returned as it is.
func AppendSum(b []byte, h crypto.Hash, data []byte) []byte {
	switch h {
	case crypto.SHA1:
		s := sha1.Sum(data)
		return append(b, s[:]...)
	case crypto.SHA256:
		s := sha256.Sum256(data)
		return append(b, s[:]...)
	case crypto.SHA384:
		s := sha512.Sum384(data)
		return append(b, s[:]...)
	case crypto.SHA512:
		s := sha512.Sum512(data)
		return append(b, s[:]...)
	}
	return b
}

// Bank is one bank of simulated PCRs. Create it with NewBank. A copy is
// independent of the original.
type Bank struct {
	hash    crypto.Hash
	size    int
	values  [Count][MaxSize]byte
	touched Selection
}

// NewBank returns a bank of zeros. Its algorithm is one of Algorithms: for
// another every Extend fails.
func NewBank(h crypto.Hash) *Bank {
	b := &Bank{hash: h}
	if Supported(h) {
		b.size = h.Size()
	}
	return b
}

// Hash returns the bank's algorithm.
func (b *Bank) Hash() crypto.Hash { return b.hash }

// Size returns the octets of a PCR.
func (b *Bank) Size() int { return b.size }

// SetLocality sets the last octet of PCR 0, which a TPM that was started from
// another locality than 0 begins with (TCG PC Client Platform TPM Profile
// section 5.3.1). It belongs before the first Extend of PCR 0.
func (b *Bank) SetLocality(locality uint8) {
	if b.size > 0 {
		clear(b.values[0][:])
		b.values[0][b.size-1] = locality
	}
}

// Extend replaces PCR i by H(PCR ‖ measurement). It reports false, and does
// nothing, for a PCR out of range or a measurement that is not as long as the
// PCR.
func (b *Bank) Extend(i uint32, measurement []byte) bool {
	if i >= Count || b.size == 0 || len(measurement) != b.size {
		return false
	}
	var in [2 * MaxSize]byte
	copy(in[:], b.values[i][:b.size])
	copy(in[b.size:], measurement)
	switch b.hash {
	case crypto.SHA1:
		s := sha1.Sum(in[:2*sha1.Size])
		copy(b.values[i][:], s[:])
	case crypto.SHA256:
		s := sha256.Sum256(in[:2*sha256.Size])
		copy(b.values[i][:], s[:])
	case crypto.SHA384:
		s := sha512.Sum384(in[:2*sha512.Size384])
		copy(b.values[i][:], s[:])
	case crypto.SHA512:
		s := sha512.Sum512(in[:])
		copy(b.values[i][:], s[:])
	}
	b.touched |= 1 << i
	return true
}

// Value returns the value of PCR i; it changes with the next Extend. nil for a
// PCR out of range.
func (b *Bank) Value(i uint32) []byte {
	if i >= Count {
		return nil
	}
	return b.values[i][:b.size:b.size]
}

// Touched returns the PCRs that were extended.
func (b *Bank) Touched() Selection { return b.touched }

// Digest returns H(PCR 0 ‖ … ‖ PCR last): the boot aggregate.
func (b *Bank) Digest(last uint32) []byte {
	if b.size == 0 {
		return nil
	}
	h := b.hash.New()
	for i := uint32(0); i <= last && i < Count; i++ {
		h.Write(b.values[i][:b.size])
	}
	return h.Sum(nil)
}
