package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"hash"
)

// aesMAC is AES-XCBC-MAC (RFC 3566) or AES-CMAC (RFC 4493) as a hash.Hash with
// an output of 16 octets. The two differ in their subkeys: XCBC encrypts
// constants, CMAC doubles in GF(2^128).
type aesMAC struct {
	block     cipher.Block
	full, cut [16]byte // subkey of the last block: whole, padded
	x, buf    [16]byte
	n         int // octets in buf
}

// newXCBC returns AES-XCBC-MAC for a key of 16 octets.
func newXCBC(key []byte) hash.Hash {
	outer := mustAES(key)
	var k1, c [16]byte
	m := &aesMAC{}
	for i, to := range []*[16]byte{&k1, &m.full, &m.cut} {
		for j := range c {
			c[j] = byte(i + 1)
		}
		outer.Encrypt(to[:], c[:])
	}
	m.block = mustAES(k1[:])
	clear(k1[:])
	return m
}

// newCMAC returns AES-CMAC for a key of 16 octets.
func newCMAC(key []byte) hash.Hash {
	m := &aesMAC{block: mustAES(key)}
	var l [16]byte
	m.block.Encrypt(l[:], l[:])
	double(&m.full, &l)
	double(&m.cut, &m.full)
	clear(l[:])
	return m
}

// mustAES takes keys whose length the caller has settled.
func mustAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return b
}

// double multiplies by x in GF(2^128), in constant time.
func double(to, from *[16]byte) {
	carry := from[0] >> 7
	for i := range 15 {
		to[i] = from[i]<<1 | from[i+1]>>7
	}
	to[15] = from[15]<<1 ^ 0x87&-carry
}

func (m *aesMAC) Size() int      { return 16 }
func (m *aesMAC) BlockSize() int { return 16 }

func (m *aesMAC) Reset() {
	clear(m.x[:])
	clear(m.buf[:])
	m.n = 0
}

func (m *aesMAC) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if m.n == 16 { // more follows: buf is not the last block
			m.chain(&m.buf)
			m.n = 0
		}
		c := copy(m.buf[m.n:], p)
		m.n += c
		p = p[c:]
	}
	return written, nil
}

func (m *aesMAC) chain(b *[16]byte) {
	for i := range b {
		m.x[i] ^= b[i]
	}
	m.block.Encrypt(m.x[:], m.x[:])
}

// Sum leaves the state as it is.
func (m *aesMAC) Sum(b []byte) []byte {
	x, last, sub := m.x, m.buf, &m.full
	if m.n < 16 {
		sub = &m.cut
		last[m.n] = 0x80
		clear(last[m.n+1:])
	}
	for i := range x {
		x[i] ^= last[i] ^ sub[i]
	}
	m.block.Encrypt(x[:], x[:])
	return append(b, x[:]...)
}

// prfXCBC is AES-XCBC-PRF-128 (RFC 4434): short keys are padded with zeros,
// long ones are hashed with the zero key.
func prfXCBC(key []byte) hash.Hash {
	var k [16]byte
	if len(key) > 16 {
		h := newXCBC(k[:])
		h.Write(key)
		h.Sum(k[:0])
	} else {
		copy(k[:], key)
	}
	return newXCBC(k[:])
}

// prfCMAC is AES-CMAC-PRF-128 (RFC 4615): keys of another length than 16 are
// hashed with the zero key.
func prfCMAC(key []byte) hash.Hash {
	var k [16]byte
	if len(key) != 16 {
		h := newCMAC(k[:])
		h.Write(key)
		h.Sum(k[:0])
	} else {
		copy(k[:], key)
	}
	return newCMAC(k[:])
}
