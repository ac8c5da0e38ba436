package crypto

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"math"
)

// ccm is AES-CCM (RFC 3610) as RFC 4309 and RFC 5282 use it: nonces of 11
// octets, so the length field has 4.
type ccm struct {
	block cipher.Block
	icv   int
}

const ccmNonce = 11

func (c *ccm) NonceSize() int { return ccmNonce }
func (c *ccm) Overhead() int  { return c.icv }

// tag returns the whole encrypted authentication value.
func (c *ccm) tag(nonce, text, aad []byte) (t [16]byte) {
	t[0] = byte(c.icv-2)/2<<3 | 3
	if len(aad) > 0 {
		t[0] |= 0x40
	}
	copy(t[1:], nonce)
	binary.BigEndian.PutUint32(t[12:], uint32(len(text)))
	c.block.Encrypt(t[:], t[:])
	at := 0
	add := func(b []byte) {
		for _, v := range b {
			t[at] ^= v
			if at++; at == 16 {
				c.block.Encrypt(t[:], t[:])
				at = 0
			}
		}
	}
	flush := func() {
		if at > 0 {
			c.block.Encrypt(t[:], t[:])
			at = 0
		}
	}
	if n := len(aad); n > 0 {
		var l [6]byte
		if n < 0xff00 {
			binary.BigEndian.PutUint16(l[:], uint16(n))
			add(l[:2])
		} else {
			l[0], l[1] = 0xff, 0xfe
			binary.BigEndian.PutUint32(l[2:], uint32(n))
			add(l[:])
		}
		add(aad)
		flush()
	}
	add(text)
	flush()
	var s [16]byte
	s[0] = 3
	copy(s[1:], nonce)
	c.block.Encrypt(s[:], s[:])
	for i := range t {
		t[i] ^= s[i]
	}
	return t
}

func (c *ccm) stream(nonce []byte) cipher.Stream {
	var a [16]byte
	a[0], a[15] = 3, 1
	copy(a[1:], nonce)
	return cipher.NewCTR(c.block, a[:])
}

func (c *ccm) Seal(dst, nonce, plaintext, aad []byte) []byte {
	if len(nonce) != ccmNonce || uint64(len(plaintext)) > math.MaxUint32 {
		panic("crypto: bad CCM nonce or message")
	}
	t := c.tag(nonce, plaintext, aad)
	at := len(dst)
	dst = append(dst, plaintext...)
	c.stream(nonce).XORKeyStream(dst[at:], dst[at:])
	return append(dst, t[:c.icv]...)
}

// Open decrypts in place where dst overlaps ciphertext exactly; on failure
// nothing of the text is left.
func (c *ccm) Open(dst, nonce, ciphertext, aad []byte) ([]byte, error) {
	n := len(ciphertext) - c.icv
	if n < 0 || len(nonce) != ccmNonce {
		return nil, ErrIntegrity
	}
	var got [16]byte
	copy(got[:], ciphertext[n:])
	at := len(dst)
	dst = append(dst, ciphertext[:n]...)
	c.stream(nonce).XORKeyStream(dst[at:], dst[at:])
	t := c.tag(nonce, dst[at:], aad)
	if subtle.ConstantTimeCompare(t[:c.icv], got[:c.icv]) != 1 {
		clear(dst[at:])
		return nil, ErrIntegrity
	}
	return dst, nil
}
