package pb

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Sizes and limits.
const (
	Version         = 2
	HeaderSize      = 8  // octets of a batch header
	MessageOverhead = 12 // octets of a message header
	PAOverhead      = 12 // octets before the PA-TNC message in a PB-PA value

	// MaxMessages caps the messages that ParseMessages takes from one batch.
	MaxMessages = 8192

	// DefaultMaxBatchEAP is the largest batch over EAP-TNC and PT-EAP that
	// strongSwan sends, DefaultMaxBatchTLS over PT-TLS.
	DefaultMaxBatchEAP = 4*16384 - 14
	DefaultMaxBatchTLS = 128*16384 - 16
)

// Role is an end of a PB-TNC session.
type Role uint8

// Roles.
const (
	Client Role = iota // Posture Broker Client
	Server             // Posture Broker Server
)

func (r Role) String() string {
	if r == Server {
		return "server"
	}
	return "client"
}

// BatchType is the B-Type of a batch (RFC 5793 section 4.1).
type BatchType uint8

// Batch types.
const (
	CDATA  BatchType = 1
	SDATA  BatchType = 2
	RESULT BatchType = 3
	CRETRY BatchType = 4
	SRETRY BatchType = 5
	CLOSE  BatchType = 6
)

var batchNames = [...]string{CDATA: "CDATA", SDATA: "SDATA", RESULT: "RESULT", CRETRY: "CRETRY", SRETRY: "SRETRY", CLOSE: "CLOSE"}

func (t BatchType) String() string {
	if t >= CDATA && t <= CLOSE {
		return batchNames[t]
	}
	return fmt.Sprintf("(%d)", uint8(t))
}

// Header is the header of a batch (RFC 5793 section 4.1).
//
//	0         1               2..3                4
//	+---------+-+-------------+----------+-------+--------------+
//	| Version |D|  reserved (19 bits)    | BType | Batch Length |
//	+---------+-+-------------+----------+-------+--------------+
type Header struct {
	FromServer bool // D bit
	Type       BatchType
	Length     uint32 // octets of the batch, header included
}

// Batch is one batch: one unit of the transport.
type Batch struct {
	FromServer bool
	Type       BatchType
	Messages   []Message
}

// ParseHeader checks the header of a batch that the given role received. b is
// the whole batch. Errors are *ProtocolError, with the offsets of RFC 5793 section 4.9.2.
func ParseHeader(b []byte, receiver Role) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, invalid(0, fmt.Errorf("%d octets are too few for a PB-TNC batch header: %w", len(b), wire.ErrTruncated))
	}
	r := wire.NewReader("PB-TNC batch", b)
	version, flags, low, length := r.U8(), r.U8(), r.U16(), r.U32()
	h := Header{FromServer: flags&0x80 != 0, Type: BatchType(low & 0x0f), Length: length}
	switch {
	case version != Version:
		return h, &ProtocolError{Code: CodeVersionNotSupported, BadVersion: version, Err: fmt.Errorf("unsupported TNCCS batch version 0x%02x", version)}
	case h.FromServer == (receiver == Server):
		return h, invalid(1, fmt.Errorf("wrong directionality: batch is from a PB-TNC %s", receiver))
	case h.Type < CDATA || h.Type > CLOSE:
		return h, invalid(3, fmt.Errorf("unknown PB-TNC batch type %d", h.Type))
	case uint64(length) != uint64(len(b)):
		return h, invalid(4, fmt.Errorf("%d octets of data for a batch length of %d: %w", len(b), length, wire.ErrLength))
	}
	return h, nil
}

// ParseMessages decodes all messages of a batch whose header ParseHeader returned.
// Unknown messages that may be skipped come back as Raw. The messages do not
// refer to b. Errors are *ProtocolError: nothing of the batch may be acted upon.
func ParseMessages(h Header, b []byte) ([]Message, error) {
	items, _, err := AppendItems(nil, h, b)
	if err != nil {
		return nil, err
	}
	var out []Message
	for _, it := range items {
		if it.Message == nil {
			it.PA.Body = bytes.Clone(it.PA.Body)
			it.Message = it.PA
		}
		out = append(out, it.Message)
	}
	return out, nil
}

// Parse decodes a whole batch that the given role received, without looking at a
// state. Errors are *ProtocolError.
func Parse(b []byte, receiver Role) (Batch, error) {
	h, err := ParseHeader(b, receiver)
	if err != nil {
		return Batch{}, err
	}
	ms, err := ParseMessages(h, b)
	if err != nil {
		return Batch{}, err
	}
	return Batch{FromServer: h.FromServer, Type: h.Type, Messages: ms}, nil
}

// AppendBinary appends the encoded batch to b.
func (x Batch) AppendBinary(b []byte) ([]byte, error) {
	sender := Client
	if x.FromServer {
		sender = Server
	}
	w := NewBuilder(x.Type, sender, math.MaxUint32)
	for _, m := range x.Messages {
		fits, err := w.Add(m)
		if err == nil && !fits {
			err = wire.ErrTooLong
		}
		if err != nil {
			return nil, fmt.Errorf("encode PB-TNC %s batch: %w", x.Type, err)
		}
	}
	return append(b, w.Bytes()...), nil
}

// appendHeader appends the header of an empty batch.
func appendHeader(b []byte, fromServer bool, t BatchType) []byte {
	var d byte
	if fromServer {
		d = 0x80
	}
	return append(b, Version, d, 0, byte(t)&0x0f, 0, 0, 0, HeaderSize)
}

// Builder fills one batch up to a size.
type Builder struct {
	b     []byte
	limit int // octets
	count int // messages
}

// NewBuilder starts a batch of at most limit octets that the given role sends.
func NewBuilder(t BatchType, sender Role, limit int) *Builder {
	return &Builder{b: appendHeader(nil, sender == Server, t), limit: limit}
}

// Add appends m if it fits and reports whether it did.
func (b *Builder) Add(m Message) (bool, error) {
	was := len(b.b)
	out, err := m.AppendBinary(b.b)
	if err != nil {
		b.b = b.b[:was]
		return false, fmt.Errorf("add %s message: %w", m.MessageType(), err)
	}
	if len(out) > b.limit {
		b.b = out[:was]
		return false, nil
	}
	b.b = out
	b.count++
	wire.PutU32At(b.b, 4, uint32(len(b.b)))
	return true, nil
}

// SetVersion makes the batch claim another version, for tests of the peer
// (strongSwan's tnccs-20.tests.pb_tnc_version).
func (b *Builder) SetVersion(v uint8) { b.b[0] = v }

// Count returns the number of messages in the batch.
func (b *Builder) Count() int { return b.count }

// Bytes returns the encoded batch.
func (b *Builder) Bytes() []byte { return b.b }

// asInvalid returns the *ProtocolError for an error of a value's parser; message is
// the offset of its message.
func asInvalid(err error, message int) error {
	var pe *ProtocolError
	if errors.As(err, &pe) {
		return pe
	}
	offset := message
	var de *wire.DecodeError
	if errors.As(err, &de) {
		offset = de.Offset
	}
	return invalid(offset, err)
}
