// Package esp carries IP packets in ESP (RFC 4303) in user space: tunnel mode
// for IPv4 and IPv6, a replay window, traffic selectors, and a data plane
// over a TUN device. The UDP encapsulation of RFC 3948 belongs to the caller,
// who sends and receives the packets as they are after the UDP header.
package esp

import (
	"errors"
	"log/slog"
)

// Limits of ESP.
const (
	headerSize  = 8   // SPI and sequence number
	trailerSize = 2   // pad length and next header
	MinSPI      = 256 // below are reserved (RFC 4303 §2.1)
	// DefaultReplayWindow in packets. strongSwan's is 32; 64 is what RFC 4303
	// §3.4.3 prefers.
	DefaultReplayWindow = 64
	// MaxReplayWindow caps what is configured.
	MaxReplayWindow = 4096
)

// Next headers of ESP in tunnel mode.
const (
	nextIPv4  = 4
	nextIPv6  = 41
	nextDummy = 59 // no next header: traffic flow confidentiality, RFC 4303 §2.6
)

// Causes for which a packet is dropped. None of them is worth an answer.
var (
	ErrMalformed = errors.New("malformed ESP packet")
	ErrSPI       = errors.New("unknown SPI")
	ErrReplay    = errors.New("ESP packet received twice, or too old")
	ErrDummy     = errors.New("dummy ESP packet")
	ErrSelector  = errors.New("packet outside of the traffic selectors")
	ErrPacket    = errors.New("not an IP packet")
	// ErrExhausted: the sequence numbers of the SA are used up (RFC 4303
	// §3.3.3); it has to be rekeyed.
	ErrExhausted = errors.New("ESP sequence numbers are used up, the CHILD_SA has to be rekeyed")
	ErrClosed    = errors.New("ESP SA is closed")
)

// Cipher protects the packets of one direction; *crypto.PacketCipher is one.
// Packets are SPI | sequence | IV | payload, padding, pad length, next header
// | ICV. It need not be safe for concurrent use.
type Cipher interface {
	IVSize() int
	ICVSize() int
	// BlockSize is what the length of payload, padding, pad length and next
	// header is a multiple of, at least 4.
	BlockSize() int
	// Seal fills in IV and ICV and encrypts between them, in place.
	Seal(pkt []byte, seqHigh uint32) error
	// Open verifies, decrypts in place and returns the view of payload,
	// padding, pad length and next header.
	Open(pkt []byte, seqHigh uint32) ([]byte, error)
	Zero()
}

// SPI returns the SPI of an ESP packet; false where it is too short to hold
// a header, or the SPI is reserved.
func SPI(pkt []byte) (uint32, bool) {
	if len(pkt) < headerSize {
		return 0, false
	}
	spi := uint32(pkt[0])<<24 | uint32(pkt[1])<<16 | uint32(pkt[2])<<8 | uint32(pkt[3])
	return spi, spi >= MinSPI
}

// Child is what a CHILD_SA hands to the data plane. The ciphers belong to the
// SA made of it, which zeroes them on Close.
type Child struct {
	Name          string // for the log
	SPIIn, SPIOut uint32
	In, Out       Cipher
	LocalTS       []Selector // what our side sends from and receives for
	RemoteTS      []Selector // what lies behind the gateway
	ReplayWindow  int        // packets; 0 = DefaultReplayWindow
	ESN           bool       // extended sequence numbers (RFC 4303 §2.2.1)
	// Standby: the SA receives, and sends only after Activate or the first
	// packet that it received: the peer rekeyed and may not be ready.
	Standby bool
}

// LogValue leaves the ciphers out.
func (c Child) LogValue() slog.Value { return slog.StringValue(c.Name) }
