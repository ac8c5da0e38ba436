package crypto

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// DefaultFragmentSize is strongSwan's: the octets of a whole IP datagram.
const DefaultFragmentSize = 1280

// MaxFragments is the most fragments that a message is cut into, or accepted
// in.
const MaxFragments = 255

// Causes of what is not a protected message.
var (
	ErrNotProtected = errors.New("message has no SK or SKF payload")
	ErrTooLarge     = errors.New("message is too large")
)

// ContentError says that a message is authentic and that its payloads cannot
// be decoded. A request of the kind is answered with N(INVALID_SYNTAX), or
// with N(UNSUPPORTED_CRITICAL_PAYLOAD) where Err wraps a
// *message.UnsupportedCriticalError.
type ContentError struct {
	Header message.Header
	Err    error
}

func (e *ContentError) Error() string { return fmt.Sprintf("open %s: %v", e.Header, e.Err) }

func (e *ContentError) Unwrap() error { return e.Err }

// Notify returns the notify that reports e to the peer.
func (e *ContentError) Notify() *message.Notify {
	var c *message.UnsupportedCriticalError
	if errors.As(e.Err, &c) {
		return c.Notify()
	}
	return &message.Notify{NotifyType: message.InvalidSyntax}
}

// Protector seals the messages that one side of an IKE SA sends and opens
// those that it receives.
type Protector struct{ out, in *engine }

// NewProtector returns the Protector of the original initiator, or of the
// responder. The keys are copied; rand nil: crypto/rand.
func NewProtector(s Suite, k *IKEKeys, initiator bool, rand io.Reader) (*Protector, error) {
	i, err := newEngine(s, k.Ei, k.Ai, rand)
	if err != nil {
		return nil, fmt.Errorf("set up protection of the IKE SA: %w", err)
	}
	r, err := newEngine(s, k.Er, k.Ar, rand)
	if err != nil {
		return nil, fmt.Errorf("set up protection of the IKE SA: %w", err)
	}
	if initiator {
		return &Protector{out: i, in: r}, nil
	}
	return &Protector{out: r, in: i}, nil
}

// Zero lets go of the keys; Seal and Open fail afterwards.
func (p *Protector) Zero() {
	p.out.zero()
	p.in.zero()
}

// Seal returns the encoded message with ps inside an SK payload.
func (p *Protector) Seal(h message.Header, ps []message.Payload) ([]byte, error) {
	first, plain, err := message.AppendPayloads(nil, ps)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", h, err)
	}
	defer zero(plain)
	return p.seal(h, message.TypeSK, first, nil, plain)
}

// SealFragments returns one datagram with an SK payload where that fits into
// size octets (IP and UDP header and non-ESP marker included; 0 means
// DefaultFragmentSize), else messages with SKF payloads (RFC 7383 section 2.5) that
// fit. The caller has made sure that the peer supports fragmentation.
func (p *Protector) SealFragments(h message.Header, ps []message.Payload, size int, ipv6 bool) ([][]byte, error) {
	first, plain, err := message.AppendPayloads(nil, ps)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", h, err)
	}
	defer zero(plain)
	if size == 0 {
		size = DefaultFragmentSize
	}
	room := size - 20 - 8 - 4 // IPv4, UDP, non-ESP marker
	if ipv6 {
		room -= 20
	}
	if p.sealedSize(message.TypeSK, len(plain)) <= room {
		b, err := p.seal(h, message.TypeSK, first, nil, plain)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
	text := room - message.HeaderSize - 8 - p.out.ivSize - p.out.icvSize
	text -= mod(text, p.out.blockSize)
	chunk := text - 1 // pad length octet
	if chunk < 1 {
		return nil, fmt.Errorf("seal %s: fragment size of %d octets leaves no room: %w", h, size, ErrTooLarge)
	}
	total := (len(plain) + chunk - 1) / chunk
	if total > MaxFragments {
		return nil, fmt.Errorf("seal %s: %d octets need %d fragments, at most %d: %w", h, len(plain), total, MaxFragments, ErrTooLarge)
	}
	var out [][]byte
	for n := 1; n <= total; n++ {
		part := plain[(n-1)*chunk : min(n*chunk, len(plain))]
		next := message.NoNextPayload
		if n == 1 {
			next = first
		}
		numbers := wire.AppendU16(wire.AppendU16(nil, uint16(n)), uint16(total))
		b, err := p.seal(h, message.TypeSKF, next, numbers, part)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func mod(a, n int) int { return (a%n + n) % n }

// sealedSize returns the octets of a message that protects n octets.
func (p *Protector) sealedSize(t message.PayloadType, n int) int {
	n++ // pad length
	n += mod(-n, p.out.blockSize)
	n += message.HeaderSize + 4 + p.out.ivSize + p.out.icvSize
	if t == message.TypeSKF {
		n += 4
	}
	return n
}

func (p *Protector) seal(h message.Header, t, next message.PayloadType, numbers, plain []byte) ([]byte, error) {
	if p.out.zeroed() {
		return nil, fmt.Errorf("seal %s: keys are gone", h)
	}
	size := p.sealedSize(t, len(plain))
	if size-message.HeaderSize > math.MaxUint16 {
		return nil, fmt.Errorf("seal %s of %d octets: %w", h, size, ErrTooLarge)
	}
	h.NextPayload, h.Length = t, uint32(size)
	b, err := h.AppendBinary(make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", h, err)
	}
	b = append(b, byte(next), 0)
	b = wire.AppendU16(b, uint16(size-message.HeaderSize))
	b = append(b, numbers...)
	start := len(b)
	b = append(b, make([]byte, p.out.ivSize)...)
	b = append(b, plain...)
	pad := mod(-(len(plain) + 1), p.out.blockSize)
	b = append(b, make([]byte, pad)...)
	b = append(b, byte(pad))
	b = append(b, make([]byte, p.out.icvSize)...)
	if err := p.out.seal(b, start, b[:start], nil); err != nil {
		return nil, fmt.Errorf("seal %s: %w", h, err)
	}
	return b, nil
}

// sealed is an SK or SKF message as found on the wire.
type sealed struct {
	h             message.Header
	t, next       message.PayloadType
	start         int // offset of the IV
	number, total uint16
}

// locate finds the SK or SKF payload of a datagram. Payloads before it are
// not protected and are passed over.
func locate(b []byte) (s sealed, err error) {
	if s.h, err = message.ParseHeader(b); err != nil {
		return s, err
	}
	r := wire.NewReader("IKE message", b)
	r.Skip(message.HeaderSize)
	if uint64(s.h.Length) != uint64(len(b)) {
		r.Fail(24, wire.ErrLength)
	}
	s.t = s.h.NextPayload
	for range message.MaxPayloads {
		if s.t == message.NoNextPayload {
			r.Fail(r.Offset(), ErrNotProtected)
		}
		at := r.Offset()
		s.next = message.PayloadType(r.U8())
		r.U8()
		n := int(r.U16())
		if n < 4 {
			r.Fail(at+2, wire.ErrLength)
		}
		body := r.Sub("SK payload", n-4)
		if err := r.Err(); err != nil {
			return s, err
		}
		switch s.t {
		case message.TypeSKF:
			s.number, s.total = body.U16(), body.U16()
			if body.Err() == nil && (s.number == 0 || s.number > s.total || s.total > MaxFragments) {
				body.Fail(at+4, fmt.Errorf("fragment %d of %d: %w", s.number, s.total, wire.ErrValue))
			}
			if err := body.Err(); err != nil {
				return s, err
			}
			fallthrough
		case message.TypeSK:
			s.start = body.Offset()
			return s, r.Finish()
		}
		s.t = s.next
	}
	r.Fail(r.Offset(), message.ErrTooMany)
	return s, r.Err()
}

// open verifies and decrypts; datagram stays as it is.
func (p *Protector) open(datagram []byte) (s sealed, plain []byte, err error) {
	if s, err = locate(datagram); err != nil {
		return s, nil, fmt.Errorf("open message: %w", err)
	}
	if p.in.zeroed() {
		return s, nil, fmt.Errorf("open %s: keys are gone", s.h)
	}
	b := append([]byte(nil), datagram...)
	text, err := p.in.open(b, s.start, b[:s.start], nil)
	if err != nil {
		return s, nil, fmt.Errorf("open %s: %w", s.h, err)
	}
	n := len(text)
	if n == 0 || int(text[n-1]) > n-1 {
		return s, nil, &ContentError{Header: s.h, Err: fmt.Errorf("padding: %w", wire.ErrLength)}
	}
	return s, text[:n-1-int(text[n-1])], nil
}

// Open verifies and decrypts a message with an SK payload. The payloads of
// the result are those inside; what came before the SK payload is dropped.
// Errors that are no *ContentError come from a message that is not authentic:
// drop it silently.
func (p *Protector) Open(datagram []byte) (*message.Message, error) {
	s, plain, err := p.open(datagram)
	if err != nil {
		return nil, err
	}
	if s.t != message.TypeSK {
		return nil, fmt.Errorf("open %s: fragment %d of %d alone: %w", s.h, s.number, s.total, ErrNotProtected)
	}
	return content(s.h, s.next, plain)
}

func content(h message.Header, first message.PayloadType, plain []byte) (*message.Message, error) {
	ps, err := message.ParsePayloads(first, plain)
	zero(plain)
	if err != nil {
		return nil, &ContentError{Header: h, Err: err}
	}
	for _, p := range ps {
		if t := p.Type(); t == message.TypeSK || t == message.TypeSKF {
			return nil, &ContentError{Header: h, Err: fmt.Errorf("%s payload inside another: %w", t, message.ErrOrder)}
		}
	}
	return &message.Message{Header: h, Payloads: ps}, nil
}
