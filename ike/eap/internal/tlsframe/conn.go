package tlsframe

import (
	"errors"
	"fmt"
)

const (
	// MaxMessage is the default limit of a reassembled message, in octets: four
	// TLS records of the largest size.
	MaxMessage = 4 * (16384 + 2048)
	// MinFragment is the smallest fragment size that New accepts.
	MinFragment = 64
	// MaxFragment is the largest EAP packet.
	MaxFragment = 65535

	eapHeader   = 5 // Code, Identifier, Length, Type
	flagsLen    = 1
	lengthLen   = 4
	packetsMax  = 8192 // default of Config.MaxPackets
	fragDefault = 1024
)

var (
	ErrTooLarge  = errors.New("message exceeds the limit for reassembly")
	ErrPackets   = errors.New("packet count exceeded")
	ErrVersion   = errors.New("unsupported version")
	ErrPending   = errors.New("received data while an acknowledgement was expected")
	ErrAnnounced = errors.New("message is longer than announced")
)

// Config says how to frame. The zero value is EAP-TLS with fragments of 1,024
// octets.
type Config struct {
	Version      uint8 // sent in every packet
	CheckVersion bool  // refuse other versions of the peer
	// FragmentSize is the largest EAP packet to send, in octets; 0 is 1024.
	FragmentSize int
	// LengthAlways sends the length also where nothing is fragmented.
	LengthAlways bool
	// MaxMessage limits a received message, in octets; 0 is the constant.
	MaxMessage int
	// MaxPackets limits how many packets are received; 0 is 8192.
	MaxPackets int
}

// Event is what a received packet was.
type Event uint8

const (
	Start   Event = iota // the server's first packet
	Message              // a whole message, see Conn.Message
	More                 // a fragment: answer with Ack
	Ack                  // no data: go on with Next, or the peer has nothing to say
)

// Conn fragments and reassembles the messages of one conversation. It belongs
// to one goroutine.
type Conn struct {
	cfg       Config
	packets   int
	in        []byte
	announced int // length of the message under reassembly, -1 where not announced
	partial   bool
	message   []byte
	out       []byte // octets of the message not yet sent
	sent      bool   // a fragment of out has left
	total     int
}

// New returns a Conn. Sizes out of range are brought into it.
func New(cfg Config) *Conn {
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = MaxMessage
	}
	if cfg.MaxPackets <= 0 {
		cfg.MaxPackets = packetsMax
	}
	c := &Conn{cfg: cfg, announced: -1}
	c.SetFragmentSize(cfg.FragmentSize)
	return c
}

// SetFragmentSize sets the largest EAP packet to send, in octets; 0 is 1024.
func (c *Conn) SetFragmentSize(octets int) {
	if octets == 0 {
		octets = fragDefault
	}
	c.cfg.FragmentSize = min(max(octets, MinFragment), MaxFragment)
}

// Receive takes the Type-Data of one EAP packet.
func (c *Conn) Receive(data []byte) (Event, error) {
	c.message = nil
	if c.packets++; c.packets > c.cfg.MaxPackets {
		return 0, fmt.Errorf("receive packet: %w (%d)", ErrPackets, c.cfg.MaxPackets)
	}
	p, err := Parse(data)
	if err != nil {
		return 0, err
	}
	if p.Start {
		// A server with a higher version is answered with this version, which it may
		// refuse (RFC 5281 section 9.1); data of a Start is ignored.
		if c.cfg.CheckVersion && p.Version < c.cfg.Version {
			return 0, fmt.Errorf("receive start: %w v%d", ErrVersion, p.Version)
		}
		return Start, nil
	}
	if len(p.Data) == 0 && !p.More {
		return Ack, nil
	}
	if c.cfg.CheckVersion && p.Version != c.cfg.Version {
		return 0, fmt.Errorf("receive packet: %w v%d", ErrVersion, p.Version)
	}
	if c.Pending() {
		return 0, fmt.Errorf("receive packet: %w", ErrPending)
	}
	if !c.partial && p.HasLength {
		if uint64(p.Length) > uint64(c.cfg.MaxMessage) {
			return 0, fmt.Errorf("receive fragment of %d octets: %w (%d)", p.Length, ErrTooLarge, c.cfg.MaxMessage)
		}
		c.announced = int(p.Length)
	}
	if len(p.Data) > c.cfg.MaxMessage-len(c.in) {
		return 0, fmt.Errorf("receive fragment: %w (%d)", ErrTooLarge, c.cfg.MaxMessage)
	}
	if c.announced >= 0 && len(c.in)+len(p.Data) > c.announced {
		return 0, fmt.Errorf("receive fragment: %w (%d octets)", ErrAnnounced, c.announced)
	}
	c.in = append(c.in, p.Data...)
	if p.More {
		c.partial = true
		return More, nil
	}
	c.message, c.in, c.partial, c.announced = c.in, nil, false, -1
	return Message, nil
}

// Message returns the message that the last Receive completed; it is the
// caller's.
func (c *Conn) Message() []byte { return c.message }

// Send queues a message, whose fragments Next returns. The slice is kept until
// all have left; an empty one queues nothing.
func (c *Conn) Send(msg []byte) error {
	if c.Pending() {
		return fmt.Errorf("send message: %w", ErrPending)
	}
	c.out, c.total, c.sent = msg, len(msg), false
	return nil
}

// Pending reports whether fragments are left for Next.
func (c *Conn) Pending() bool { return len(c.out) > 0 }

// Next returns the Type-Data of the next fragment; where none is left, an
// acknowledgement.
func (c *Conn) Next() []byte {
	if !c.Pending() {
		return c.Ack()
	}
	p := Packet{Version: c.cfg.Version}
	room := c.cfg.FragmentSize - eapHeader - flagsLen
	if !c.sent {
		fits := room
		if c.cfg.LengthAlways {
			fits -= lengthLen
		}
		if p.HasLength = c.cfg.LengthAlways || len(c.out) > fits; p.HasLength {
			p.Length = uint32(c.total)
			room -= lengthLen
		}
	}
	n := min(room, len(c.out))
	p.Data, c.out = c.out[:n], c.out[n:]
	p.More = len(c.out) > 0
	c.sent = true
	b, _ := p.AppendBinary(make([]byte, 0, flagsLen+lengthLen+n))
	return b
}

// Ack returns the Type-Data of an acknowledgement, or of a packet that says
// nothing: the flags octet alone.
func (c *Conn) Ack() []byte { return []byte{c.cfg.Version & VersionMask} }

// StartPacket returns the Type-Data of the server's first packet.
func (c *Conn) StartPacket() []byte { return []byte{FlagStart | c.cfg.Version&VersionMask} }
