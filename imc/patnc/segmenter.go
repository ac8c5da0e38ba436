package patnc

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// MaxPendingBases bounds the base messages whose rest a Segmenter keeps; the
// oldest is dropped for a new one.
const MaxPendingBases = 16

// minSegmentSpace is the room that a first segment needs: its headers and that
// of the base attribute.
const minSegmentSpace = EnvelopeSize + AttributeHeaderSize

// Segmenter is the sending side of a segmentation contract (TCG IF-M
// Segmentation 1.0): it cuts attributes that the peer wants in segments and
// hands the rest out on request. One belongs to a PA message type and peer.
type Segmenter struct {
	contract Contract
	last     uint32 // base message ID
	order    []uint32
	pending  map[uint32]pendingBase
}

// pendingBase is a base message of which not all has left.
type pendingBase struct {
	rest []byte
	size int // octets of all of it, which stay in memory
}

// NewSegmenter returns the Segmenter of a contract.
func NewSegmenter(c Contract) *Segmenter {
	return &Segmenter{contract: c, pending: map[uint32]pendingBase{}}
}

// Contract returns the sizes in force.
func (s *Segmenter) Contract() Contract { return s.contract }

// SetContract replaces the sizes; base messages under way stay.
func (s *Segmenter) SetContract(c Contract) { s.contract = c }

// Accept answers the peer's request: own is the largest PA-TNC message that can
// be sent, 0 for no limit. Segments that cannot hold an attribute header, or
// that do not fit own, mean no segmentation or smaller segments.
func Accept(request Contract, own int) Contract {
	if request.MaxSegment == NoLimit {
		return request
	}
	if own > SegmentOverhead && uint64(request.MaxSegment) > uint64(own-SegmentOverhead) {
		request.MaxSegment = uint32(own - SegmentOverhead)
	}
	if request.MaxSegment < AttributeHeaderSize {
		request.MaxSegment = NoLimit
	}
	return request
}

// may reports whether an encoded attribute may leave in segments.
func (s *Segmenter) may(size int) bool {
	c := s.contract
	return c.MaxSegment != NoLimit && (c.MaxMessage == NoLimit || uint64(size) <= uint64(c.MaxMessage))
}

// needs reports whether an encoded attribute must leave in segments. One that
// is larger than the contract's message size leaves unsegmented, as with
// strongSwan.
func (s *Segmenter) needs(size int) bool {
	return s.may(size) && uint64(size-AttributeHeaderSize) > uint64(s.contract.MaxSegment)+4
}

// first returns the first segment of an encoded base attribute, as large
// as contract and space (octets for the whole attribute) allow.
func (s *Segmenter) first(base []byte, space int) Attribute {
	n := min(uint64(s.contract.MaxSegment), uint64(space-EnvelopeSize), uint64(len(base)))
	s.last = (s.last + 1) & 0xFFFFFF
	if len(s.order) == MaxPendingBases {
		s.forget(s.order[0])
	}
	s.order = append(s.order, s.last)
	s.pending[s.last] = pendingBase{base[n:], len(base)}
	return Skip(SegmentEnvelope{More: true, Start: true, BaseMessageID: s.last, Data: base[:n]})
}

// Pending returns the octets of memory that base messages under way take. A
// base message takes all of its until its last segment has left.
func (s *Segmenter) Pending() (octets int) {
	for _, b := range s.pending {
		octets += b.size
	}
	return octets
}

// DropOldest drops the oldest base messages, except the newest keep of them, until
// at most limit octets are pending.
func (s *Segmenter) DropOldest(limit, keep int) {
	for len(s.order) > keep && s.Pending() > limit {
		s.forget(s.order[0])
	}
}

func (s *Segmenter) forget(id uint32) {
	delete(s.pending, id)
	for i, o := range s.order {
		if o == id {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

// Next answers a Next Segment request with at most as many octets of data as the
// contract has and room allows, room 0 being no limit; ok is false where
// there is nothing to send: the base message is unknown, or the peer cancelled it.
func (s *Segmenter) Next(n NextSegment, room int) (a Attribute, ok bool) {
	base, known := s.pending[n.BaseMessageID]
	if !known {
		return Attribute{}, false
	}
	if n.Cancel {
		s.forget(n.BaseMessageID)
		return Attribute{}, false
	}
	rest := base.rest
	size := min(uint64(len(rest)), uint64(s.contract.MaxSegment))
	if room > 0 {
		size = min(size, uint64(room))
	}
	more := size < uint64(len(rest))
	if more {
		s.pending[n.BaseMessageID] = pendingBase{rest[size:], base.size}
	} else {
		s.forget(n.BaseMessageID)
	}
	return Skip(SegmentEnvelope{More: more, BaseMessageID: n.BaseMessageID, Data: rest[:size]}), true
}

// Pack distributes attributes over as few messages as fit limit octets each (0 =
// no limit), in order, cutting with s (nil: no contract) those that must be
// segmented. Attributes that fit no message are left out and named in dropped.
// The messages have no ID yet.
func Pack(attributes []Attribute, limit int, s *Segmenter) (messages []Message, dropped []Type, err error) {
	var current Message
	size := MessageHeaderSize
	flush := func() {
		if len(current.Attributes) > 0 {
			messages = append(messages, current)
		}
		current, size = Message{}, MessageHeaderSize
	}
	add := func(a Attribute, n int) {
		current.Attributes = append(current.Attributes, a)
		size += n
	}
	for _, a := range attributes {
		base, err := a.AppendBinary(nil)
		if err != nil {
			return nil, nil, fmt.Errorf("pack PA-TNC message: %w", err)
		}
		if s != nil && s.needs(len(base)) {
			if limit != 0 && limit-size < minSegmentSpace && len(current.Attributes) > 0 {
				flush()
			}
			space := limit - size
			if limit == 0 {
				space = len(base) + EnvelopeSize
			}
			if space >= minSegmentSpace {
				seg := s.first(base, space)
				add(seg, EnvelopeSize+len(seg.Value.(SegmentEnvelope).Data))
				continue
			}
		}
		if limit != 0 && size+len(base) > limit && len(current.Attributes) > 0 {
			flush()
		}
		if limit != 0 && size+len(base) > limit {
			dropped = append(dropped, a.Value.Type())
			continue
		}
		add(a, len(base))
	}
	flush()
	return messages, dropped, nil
}

// Limits of a Reassembler.
const (
	MaxReassembly      = 16 << 20 // octets of all base messages together
	MaxReassemblyBases = 16
)

// Reassembler is the receiving side of a contract that its owner requested.
type Reassembler struct {
	more   []Registry
	octets int
	bases  map[uint32]*base
}

type base struct {
	data   []byte
	length int
	known  bool
}

// NewReassembler returns a Reassembler for the attribute types of this package
// and those of more.
func NewReassembler(more ...Registry) *Reassembler {
	return &Reassembler{more: more, bases: map[uint32]*base{}}
}

// Add adds a received segment. It returns the attribute when its last segment
// arrived, the request for the next segment while more follow, and a
// *ParseError to answer where the base attribute is malformed.
func (r *Reassembler) Add(e SegmentEnvelope) (complete *Attribute, next *NextSegment, err error) {
	b := r.bases[e.BaseMessageID]
	if e.More {
		next = &NextSegment{BaseMessageID: e.BaseMessageID}
	}
	switch {
	case e.Start && b != nil: // in use: the old one stays
		return nil, next, nil
	case e.Start:
		if b, err = r.start(e); err != nil {
			return nil, nil, err
		}
	case b == nil:
		return nil, next, nil
	case len(e.Data) > b.length-len(b.data):
		return nil, nil, r.fail(e.BaseMessageID, 8, wire.ErrLength)
	default:
		if b.known {
			if r.octets+len(e.Data) > MaxReassembly {
				return nil, nil, r.fail(e.BaseMessageID, 8, ErrTooMany)
			}
			r.octets += len(e.Data)
			b.data = append(b.data, e.Data...)
		} else {
			b.length -= len(e.Data)
		}
	}
	if e.More {
		return nil, next, nil
	}
	data, known := b.data, b.known
	short := len(data) < b.length
	r.drop(e.BaseMessageID)
	if !known {
		return nil, nil, nil
	}
	if short {
		return nil, nil, r.fail(e.BaseMessageID, 8, wire.ErrTruncated)
	}
	a, answer, err := parseAttribute(wire.NewReader("segmented PA-TNC attribute", data), segmentHeader(e.BaseMessageID), r.more)
	if err != nil {
		return nil, nil, &ParseError{Answer: answer, Err: err}
	}
	if a.Value == nil {
		return nil, nil, nil
	}
	return &a, nil, nil
}

// start begins a base message: its first segment holds the attribute's header.
func (r *Reassembler) start(e SegmentEnvelope) (*base, error) {
	id := e.BaseMessageID
	rd := wire.NewReader("segmented PA-TNC attribute", e.Data)
	flags := rd.U8()
	t := Type{Vendor: rd.U24(), Type: rd.U32()}
	length := rd.U32()
	_, known := lookup(t, r.more)
	switch {
	case rd.Err() != nil:
		return nil, r.fail(id, 0, wire.ErrTruncated)
	case t.Vendor == VendorReserved:
		return nil, r.fail(id, 1, ErrReserved)
	case t.Type == TypeReserved:
		return nil, r.fail(id, 4, ErrReserved)
	case length < AttributeHeaderSize || uint64(length) < uint64(len(e.Data)):
		return nil, r.fail(id, 8, wire.ErrLength)
	case !known && flags&flagNoSkip != 0:
		return nil, &ParseError{Err: fmt.Errorf("reassemble PA-TNC attribute %v: %w", t, ErrNotSkipped),
			Answer: typeNotSupported(segmentHeader(id), flags, t)}
	case len(r.bases) == MaxReassemblyBases, known && (uint64(length) > MaxReassembly || r.octets+len(e.Data) > MaxReassembly):
		return nil, r.fail(id, 8, ErrTooMany)
	}
	b := &base{known: known, length: int(length)}
	if known {
		b.data = clone(e.Data)
		r.octets += len(e.Data)
	} else {
		b.length -= len(e.Data) // counted, not kept
	}
	r.bases[id] = b
	return b, nil
}

// drop removes a base message.
func (r *Reassembler) drop(id uint32) {
	if b := r.bases[id]; b != nil {
		r.octets -= len(b.data)
		delete(r.bases, id)
	}
}

// fail drops a base message and returns the *ParseError that answers its sender.
func (r *Reassembler) fail(id uint32, offset int, cause error) error {
	r.drop(id)
	return &ParseError{Answer: invalidParameter(segmentHeader(id), offset),
		Err: fmt.Errorf("reassemble PA-TNC attribute of base message %d: %w", id, cause)}
}

// segmentHeader returns what errors carry as the first octets of a base message.
func segmentHeader(id uint32) [8]byte {
	h := [8]byte{0xFF, 0xFF, 0xFF, 0xFF}
	wire.PutU32At(h[:], 4, id)
	return h
}
