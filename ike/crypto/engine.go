package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gotnc/gotnc/ike/message"
)

// ErrIntegrity is the cause where a message or packet is not from the peer:
// drop it, and change no state.
var ErrIntegrity = errors.New("integrity check failed")

// ErrExhausted is the cause where a key may not protect more messages.
var ErrExhausted = errors.New("key has been used too often")

// engine protects one direction of an IKE SA or of an ESP SA. It reuses its
// scratch space.
type engine struct {
	// AEAD ciphers: nonce = salt | IV.
	aead  cipher.AEAD
	nonce []byte
	salt  int // octets

	// CTR (RFC 3686): the counter block is salt | IV | 1.
	ctr cipher.Block

	// CBC.
	enc, dec cipher.BlockMode
	// CBC and CTR.
	mac hash.Hash
	sum []byte

	ivSize, blockSize, icvSize int

	rand    io.Reader
	counter uint64 // IVs used
	mask    uint64
}

// setIVer is what the CBC modes of the standard library implement beside
// cipher.BlockMode; it saves an allocation a packet.
type setIVer interface{ SetIV([]byte) }

func newEngine(s Suite, encr, integ []byte, rand io.Reader) (*engine, error) {
	e := &engine{rand: randOr(rand)}
	wantE, wantA, err := s.keySizes()
	if err != nil {
		return nil, err
	}
	if len(encr) != wantE || len(integ) != wantA {
		return nil, fmt.Errorf("keys of %d and %d octets instead of %d and %d", len(encr), len(integ), wantE, wantA)
	}
	alg := encrAlgs[s.Encr.ID]
	key, salt := encr[:len(encr)-alg.salt], encr[len(encr)-alg.salt:]
	e.salt = alg.salt
	if alg.salt > 0 {
		e.nonce = append(make([]byte, 0, alg.salt+8), salt...)[:alg.salt+8]
	}
	if s.Encr.ID == message.EncrAESCTR {
		if e.ctr, err = aes.NewCipher(key); err != nil {
			return nil, err
		}
		h := integAlgs[s.Integ.ID]
		e.mac, e.sum = h.mac(integ), make([]byte, 0, 64)
		e.ivSize, e.blockSize, e.icvSize = 8, 1, h.icv
		return e, e.drawMask()
	}
	if !alg.aead {
		block, err := aes.NewCipher(encr)
		if err != nil {
			return nil, err
		}
		h := integAlgs[s.Integ.ID]
		var iv [aes.BlockSize]byte
		e.enc, e.dec = cipher.NewCBCEncrypter(block, iv[:]), cipher.NewCBCDecrypter(block, iv[:])
		if _, ok := e.enc.(setIVer); !ok {
			return nil, errors.New("CBC mode without SetIV")
		}
		if _, ok := e.dec.(setIVer); !ok {
			return nil, errors.New("CBC mode without SetIV")
		}
		e.mac, e.sum = h.mac(integ), make([]byte, 0, 64)
		e.ivSize, e.blockSize, e.icvSize = aes.BlockSize, aes.BlockSize, h.icv
		return e, nil
	}
	if s.Encr.ID == message.EncrChaCha20Poly1305 {
		e.aead, err = chacha20poly1305.New(key)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err != nil {
			return nil, err
		}
		switch {
		case alg.salt == 3:
			e.aead = &ccm{block, alg.icv}
		case alg.icv == 8:
			e.aead, err = newGCM8(block)
		default:
			e.aead, err = cipher.NewGCMWithTagSize(block, alg.icv)
		}
	}
	if err != nil {
		return nil, err
	}
	e.ivSize, e.blockSize, e.icvSize = 8, 1, alg.icv
	return e, e.drawMask()
}

func (e *engine) drawMask() error {
	var m [8]byte
	if _, err := io.ReadFull(e.rand, m[:]); err != nil {
		return fmt.Errorf("draw IV mask: %w", err)
	}
	e.mask = binary.BigEndian.Uint64(m[:])
	return nil
}

// crypt is CTR mode, both ways.
func (e *engine) crypt(iv, text []byte) {
	var c [16]byte
	copy(c[:], e.nonce[:e.salt])
	copy(c[e.salt:], iv)
	c[15] = 1
	cipher.NewCTR(e.ctr, c[:]).XORKeyStream(text, text)
}

// newIV fills iv: a counter under a random mask for AEAD ciphers and CTR, so that no
// IV ever repeats, and random octets for CBC, where it must not be foreseen.
func (e *engine) newIV(iv []byte) error {
	if e.enc != nil {
		_, err := io.ReadFull(e.rand, iv)
		return err
	}
	if e.counter == ^uint64(0) {
		return ErrExhausted
	}
	binary.BigEndian.PutUint64(iv, e.counter^e.mask)
	e.counter++
	return nil
}

// seal encrypts b[start+ivSize : len(b)-icvSize] in place, and fills the IV
// at start and the ICV at the end. What precedes start is authenticated; aad
// replaces it for AEAD ciphers, tail is authenticated behind it with HMAC.
func (e *engine) seal(b []byte, start int, aad, tail []byte) error {
	iv := b[start : start+e.ivSize]
	if err := e.newIV(iv); err != nil {
		return err
	}
	end := len(b) - e.icvSize
	text := b[start+e.ivSize : end]
	if e.aead != nil {
		copy(e.nonce[e.salt:], iv)
		e.aead.Seal(text[:0], e.nonce, text, aad)
		return nil
	}
	if e.ctr != nil {
		e.crypt(iv, text)
	} else {
		e.enc.(setIVer).SetIV(iv)
		e.enc.CryptBlocks(text, text)
	}
	copy(b[end:], e.tag(b[:end], tail)[:e.icvSize])
	return nil
}

// open is seal's reverse; the text is returned as a view into b.
func (e *engine) open(b []byte, start int, aad, tail []byte) ([]byte, error) {
	end := len(b) - e.icvSize
	if end-start < e.ivSize {
		return nil, ErrIntegrity
	}
	iv, text := b[start:start+e.ivSize], b[start+e.ivSize:end]
	if e.aead != nil {
		copy(e.nonce[e.salt:], iv)
		out, err := e.aead.Open(text[:0], e.nonce, b[start+e.ivSize:], aad)
		if err != nil {
			return nil, ErrIntegrity
		}
		return out, nil
	}
	if len(text)%e.blockSize != 0 || subtle.ConstantTimeCompare(e.tag(b[:end], tail)[:e.icvSize], b[end:]) != 1 {
		return nil, ErrIntegrity
	}
	if e.ctr != nil {
		e.crypt(iv, text)
		return text, nil
	}
	e.dec.(setIVer).SetIV(iv)
	e.dec.CryptBlocks(text, text)
	return text, nil
}

func (e *engine) tag(head, tail []byte) []byte {
	e.mac.Reset()
	e.mac.Write(head)
	e.mac.Write(tail)
	e.sum = e.mac.Sum(e.sum[:0])
	return e.sum
}

// zero lets go of the keys. The key schedules inside the standard library
// cannot be overwritten; the garbage collector takes them.
func (e *engine) zero() {
	clear(e.nonce)
	clear(e.sum[:cap(e.sum)])
	e.aead, e.ctr, e.enc, e.dec, e.mac = nil, nil, nil, nil, nil
}

// zeroed reports whether zero was called.
func (e *engine) zeroed() bool { return e.aead == nil && e.mac == nil }

// gcm8 is AES-GCM with an ICV of 8 octets (RFC 4106), which crypto/cipher does
// not offer.
type gcm8 struct {
	block cipher.Block
	full  cipher.AEAD
}

func newGCM8(b cipher.Block) (cipher.AEAD, error) {
	full, err := cipher.NewGCM(b)
	return &gcm8{b, full}, err
}

func (g *gcm8) NonceSize() int { return 12 }
func (g *gcm8) Overhead() int  { return 8 }

func (g *gcm8) Seal(dst, nonce, plaintext, aad []byte) []byte {
	sealed := g.full.Seal(nil, nonce, plaintext, aad)
	return append(dst, sealed[:len(plaintext)+8]...)
}

func (g *gcm8) Open(dst, nonce, ciphertext, aad []byte) ([]byte, error) {
	n := len(ciphertext) - 8
	if n < 0 {
		return nil, ErrIntegrity
	}
	// GCM encrypts with counter mode from 2 on (SP 800-38D section 7.1); the tag
	// comes from encrypting again.
	var ctr [16]byte
	copy(ctr[:], nonce)
	ctr[15] = 2
	plain := make([]byte, n)
	cipher.NewCTR(g.block, ctr[:]).XORKeyStream(plain, ciphertext[:n])
	sealed := g.full.Seal(nil, nonce, plain, aad)
	if subtle.ConstantTimeCompare(sealed[n:n+8], ciphertext[n:]) != 1 {
		clear(plain)
		return nil, ErrIntegrity
	}
	return append(dst, plain...), nil
}
