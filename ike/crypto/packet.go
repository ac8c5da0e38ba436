package crypto

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// espHeader is the size of SPI and sequence number.
const espHeader = 8

// PacketCipher protects the packets of one direction of an ESP SA in place
// (RFC 4303 section 2):
//
//	SPI (4) | sequence number (4) | IV | payload, padding, pad length, next header | ICV
//
// It does not allocate (AES-GCM-8 excepted), knows no window, and is not safe
// for concurrent use.
type PacketCipher struct {
	e   *engine
	esn bool
	aad [espHeader + 4]byte
}

// NewPacketCipher returns the cipher of one direction: encr and integ are Ei
// and Ai, or Er and Ar, of ChildKeys. The keys are copied; rand nil:
// crypto/rand.
func NewPacketCipher(esp Suite, encr, integ []byte, rand io.Reader) (*PacketCipher, error) {
	if esp.Protocol != message.ProtocolESP {
		return nil, fmt.Errorf("set up ESP cipher: suite %s: %w", esp, ErrUnsupported)
	}
	e, err := newEngine(esp, encr, integ, rand)
	if err != nil {
		return nil, fmt.Errorf("set up ESP cipher: %w", err)
	}
	return &PacketCipher{e: e, esn: esp.ESN}, nil
}

// IVSize returns the octets of the IV.
func (c *PacketCipher) IVSize() int { return c.e.ivSize }

// ICVSize returns the octets of the ICV.
func (c *PacketCipher) ICVSize() int { return c.e.icvSize }

// BlockSize returns what the octets from payload to next header must be a
// multiple of: 4, or the block of the cipher (RFC 4303 section 2.4).
func (c *PacketCipher) BlockSize() int { return max(4, c.e.blockSize) }

// Overhead returns the octets that a packet has beside payload and padding:
// header, IV, pad length, next header, ICV.
func (c *PacketCipher) Overhead() int { return espHeader + c.e.ivSize + 2 + c.e.icvSize }

// Seal fills IV and ICV of pkt, a complete packet, and encrypts what is
// between them. SeqHigh is the upper half of the extended sequence number, not
// used without ESN. A sequence number of 0 is refused: the sender's counter
// has cycled (RFC 4303 section 3.3.3).
func (c *PacketCipher) Seal(pkt []byte, seqHigh uint32) error {
	n := len(pkt) - espHeader - c.e.ivSize - c.e.icvSize
	switch {
	case c.e.zeroed():
		return fmt.Errorf("seal ESP packet: keys are gone")
	case n < 2 || n%c.BlockSize() != 0 || len(pkt) > math.MaxUint16:
		return fmt.Errorf("seal ESP packet of %d octets: %w", len(pkt), wire.ErrLength)
	case binary.BigEndian.Uint32(pkt[4:]) == 0 && (!c.esn || seqHigh == 0):
		return fmt.Errorf("seal ESP packet: sequence number 0: %w", ErrExhausted)
	}
	aad, tail := c.authenticated(pkt, seqHigh)
	if err := c.e.seal(pkt, espHeader, aad, tail); err != nil {
		return fmt.Errorf("seal ESP packet: %w", err)
	}
	return nil
}

// Open verifies pkt and decrypts it in place. The result is the view from the
// payload to the next header octet, padding included. On failure (ErrIntegrity)
// the content of pkt is undefined.
func (c *PacketCipher) Open(pkt []byte, seqHigh uint32) ([]byte, error) {
	n := len(pkt) - espHeader - c.e.ivSize - c.e.icvSize
	if c.e.zeroed() || n < 2 || n%c.e.blockSize != 0 {
		return nil, ErrIntegrity
	}
	aad, tail := c.authenticated(pkt, seqHigh)
	return c.e.open(pkt, espHeader, aad, tail)
}

// authenticated returns the associated data of AEAD ciphers, SPI | [high] |
// low (RFC 4106 section 5), and what HMAC covers behind the packet (RFC 4303 section 2.8).
func (c *PacketCipher) authenticated(pkt []byte, seqHigh uint32) (aad, tail []byte) {
	if !c.esn {
		copy(c.aad[:espHeader], pkt)
		return c.aad[:espHeader], nil
	}
	copy(c.aad[:4], pkt[:4])
	binary.BigEndian.PutUint32(c.aad[4:], seqHigh)
	copy(c.aad[8:], pkt[4:8])
	return c.aad[:12], c.aad[4:8]
}

// Zero lets go of the keys; Seal and Open fail afterwards.
func (c *PacketCipher) Zero() { c.e.zero() }

// LogValue redacts.
func (c *PacketCipher) LogValue() slog.Value { return slog.StringValue(redacted) }
