// Package esp seals and opens ESP packets (RFC 4303): tunnel mode for IPv4 and
// IPv6, a replay window, traffic selectors. It holds no socket and no device;
// the data planes of ike/dataplane carry the packets.
//
// # Usage
//
// NewSA makes the pair of SAs of a CHILD_SA. Its ciphers come from
// (*ike.ChildSA).Ciphers, its selectors are those of the CHILD_SA:
//
//	in, out, err := child.Ciphers(nil)
//	...
//	sa, err := esp.NewSA(esp.Config{SPIIn: child.SPIIn, SPIOut: child.SPIOut, In: in, Out: out,
//		ESN: child.ESP.ESN, LocalTS: child.LocalTS, RemoteTS: child.RemoteTS})
//	...
//	defer sa.Close()
//	pkt, err := sa.Seal(nil, ipPacket)   // to the gateway
//	ipPacket, err = sa.Open(pkt)         // from the gateway
//
// Packets are those after the UDP header where ESP travels in UDP (RFC 3948).
// SealInPlace and Open work within the caller's buffer and allocate nothing.
package esp

import (
	"errors"

	"github.com/gotnc/gotnc/ike/message"
)

// Limits of ESP.
const (
	headerSize  = 8   // SPI and sequence number
	trailerSize = 2   // pad length and next header
	MinSPI      = 256 // below are reserved (RFC 4303 section 2.1)
	// DefaultReplayWindow in packets. strongSwan's is 32; RFC 4303
	// section 3.4.3 prefers 64.
	DefaultReplayWindow = 64
	// MaxReplayWindow caps what is configured.
	MaxReplayWindow = 4096
)

// Next headers of ESP in tunnel mode.
const (
	nextIPv4  = 4
	nextIPv6  = 41
	nextDummy = 59 // no next header: traffic flow confidentiality, RFC 4303 section 2.6
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
	// section 3.3.3); it has to be rekeyed.
	ErrExhausted = errors.New("ESP sequence numbers are used up, the CHILD_SA has to be rekeyed")
	// ErrClosed: the SA is closed.
	ErrClosed = errors.New("ESP SA is closed")
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

// Config is what an SA is made of.
type Config struct {
	SPIIn, SPIOut uint32
	// In and Out belong to the SA, which zeroes them on Close.
	In, Out Cipher
	ESN     bool // extended sequence numbers (RFC 4303 section 2.2.1)
	// LocalTS is what this host sends from and receives for, RemoteTS what lies
	// behind the gateway. Selectors of an unknown type match nothing.
	LocalTS, RemoteTS []message.TrafficSelector
	ReplayWindow      int // packets; 0 = DefaultReplayWindow, which is the smallest
	// Standby: the SA receives, and sends only after Activate or the first
	// packet that it received: the peer rekeyed and may not be ready.
	Standby bool
	// Authenticated, where set, is called for every packet that authenticates,
	// delivered or not: a sign of life. It has to return quickly.
	Authenticated func()
}
