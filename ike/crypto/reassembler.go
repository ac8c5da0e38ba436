package crypto

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// DefaultMaxPacket is strongSwan's max_packet: the most octets of a
// reassembled message.
const DefaultMaxPacket = 10000

// Reassembler opens what an IKE SA receives, SK and SKF messages alike, and
// collects fragments (RFC 7383 section 2.6): one message of each kind, request and
// response, at a time. A fragment is authenticated before it is kept. The zero
// value is ready.
type Reassembler struct {
	// MaxOctets bounds the protected payloads of one message; 0 means
	// DefaultMaxPacket.
	MaxOctets int
	// Inner, where set, is filled with what the next whole message protected.
	Inner *Inner

	slots [2]collection // requests, responses
}

type collection struct {
	active bool
	header message.Header
	first  message.PayloadType
	total  uint16
	parts  [][]byte // by number, from 0
	have   int
	octets int
}

func (c *collection) reset() {
	zero(c.parts...)
	*c = collection{}
}

// Handle returns the message that datagram is or completes, and nil without
// error while fragments are missing. Of an unfinished message, a datagram with
// a higher message ID or total starts a new collection; a lower one, and a
// duplicate, is dropped. A completed message is not remembered: a peer that
// retransmits all fragments yields it again. Errors are those of Open, and
// ErrTooLarge.
func (r *Reassembler) Handle(p *Protector, datagram []byte) (*message.Message, error) {
	s, plain, err := p.open(datagram)
	if err != nil {
		return nil, err
	}
	if s.t == message.TypeSK {
		if n := r.limit(); len(plain) > n {
			return nil, fmt.Errorf("open %s: %d octets, at most %d: %w", s.h, len(plain), n, ErrTooLarge)
		}
		return r.content(s.h, s.next, plain)
	}
	c := &r.slots[0]
	if s.h.IsResponse() {
		c = &r.slots[1]
	}
	if c.active {
		switch {
		case s.h.MessageID > c.header.MessageID, s.h.MessageID == c.header.MessageID && s.total > c.total:
			// "MUST discard all … fragments" of the smaller total and start again.
			c.reset()
		case s.h.MessageID < c.header.MessageID, s.total < c.total, s.h.Exchange != c.header.Exchange:
			return nil, nil
		}
	}
	if !c.active {
		*c = collection{active: true, header: s.h, total: s.total, parts: make([][]byte, s.total)}
	}
	if c.parts[s.number-1] != nil {
		return nil, nil
	}
	if c.octets += len(plain); c.octets > r.limit() {
		c.reset()
		return nil, fmt.Errorf("reassemble %s: more than %d octets: %w", s.h, r.limit(), ErrTooLarge)
	}
	if plain == nil {
		plain = []byte{}
	}
	c.parts[s.number-1] = plain
	if s.number == 1 {
		c.first, c.header = s.next, s.h
	}
	if c.have++; c.have < int(c.total) {
		return nil, nil
	}
	all := make([]byte, 0, c.octets)
	for _, part := range c.parts {
		all = append(all, part...)
	}
	h, first := c.header, c.first
	c.reset()
	return r.content(h, first, all)
}

func (r *Reassembler) content(h message.Header, first message.PayloadType, plain []byte) (*message.Message, error) {
	if r.Inner != nil {
		*r.Inner = Inner{First: first, Payloads: bytes.Clone(plain)}
	}
	return content(h, first, plain)
}

func (r *Reassembler) limit() int {
	if r.MaxOctets > 0 {
		return r.MaxOctets
	}
	return DefaultMaxPacket
}

// Reset drops what is collected.
func (r *Reassembler) Reset() {
	for i := range r.slots {
		r.slots[i].reset()
	}
}
