// Package pcr describes the Platform Configuration Registers of a TPM without
// talking to one: the hash algorithms of their banks (Hash), sets of them
// (Selection), their values (Values), and a simulation that computes what they
// hold after a sequence of measurements (Bank).
package pcr

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
)

// Count is the number of PCRs of a PC client TPM.
const Count = 24

// MaxSize is the octets of the largest digest among Hashes.
const MaxSize = sha512.Size

// AppendSum appends the digest of data to b. It allocates nothing where b has
// room. For an unknown algorithm b is returned unchanged.
func AppendSum(b []byte, h Hash, data []byte) []byte {
	switch h {
	case SHA1:
		s := sha1.Sum(data)
		return append(b, s[:]...)
	case SHA256:
		s := sha256.Sum256(data)
		return append(b, s[:]...)
	case SHA384:
		s := sha512.Sum384(data)
		return append(b, s[:]...)
	case SHA512:
		s := sha512.Sum512(data)
		return append(b, s[:]...)
	}
	return b
}

// Bank is one bank of simulated PCRs. Create it with NewBank. A copy is
// independent of the original.
type Bank struct {
	hash    Hash
	size    int
	values  [Count][MaxSize]byte
	touched Selection
}

// NewBank returns a bank of zeros. With an unknown algorithm every Extend fails.
func NewBank(h Hash) *Bank { return &Bank{hash: h, size: h.Size()} }

// Hash returns the bank's algorithm.
func (b *Bank) Hash() Hash { return b.hash }

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
	case SHA1:
		s := sha1.Sum(in[:2*sha1.Size])
		copy(b.values[i][:], s[:])
	case SHA256:
		s := sha256.Sum256(in[:2*sha256.Size])
		copy(b.values[i][:], s[:])
	case SHA384:
		s := sha512.Sum384(in[:2*sha512.Size384])
		copy(b.values[i][:], s[:])
	case SHA512:
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
	h := b.hash.Crypto().New()
	for i := uint32(0); i <= last && i < Count; i++ {
		h.Write(b.values[i][:b.size])
	}
	return h.Sum(nil)
}
