package message

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Causes of rejected messages.
var (
	ErrTooMany = errors.New("too many elements")
	ErrOrder   = errors.New("payload not allowed here")
)

// UnsupportedCriticalError is the cause where a payload of unknown type has
// its critical bit set (RFC 7296 section 2.5). The answer to such a request is
// N(UNSUPPORTED_CRITICAL_PAYLOAD) with the type as data.
type UnsupportedCriticalError struct{ Type PayloadType }

func (e *UnsupportedCriticalError) Error() string {
	return fmt.Sprintf("unsupported critical payload type %d", uint8(e.Type))
}

// Notify returns the notify payload that reports e.
func (e *UnsupportedCriticalError) Notify() *Notify {
	return &Notify{NotifyType: UnsupportedCriticalPayload, Data: []byte{byte(e.Type)}}
}

// Payload is one payload. Every type of this package implements it on its
// pointer.
type Payload interface {
	Type() PayloadType
	// AppendBody appends what follows the generic payload header.
	AppendBody(b []byte) ([]byte, error)
}

// Message is a header and its payloads in order.
type Message struct {
	Header
	Payloads []Payload
}

// Parse decodes a whole message. Its length field must equal len(b). SK and
// SKF payloads must be the last; they are kept sealed.
func Parse(b []byte) (*Message, error) {
	r := wire.NewReader("IKE message", b)
	h := readHeader(r)
	if r.Err() == nil && uint64(h.Length) != uint64(len(b)) {
		r.Fail(24, wire.ErrLength)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	ps, err := parsePayloads(h.NextPayload, r)
	if err != nil {
		return nil, err
	}
	return &Message{Header: h, Payloads: ps}, nil
}

// ParsePayloads decodes a chain of payloads, such as the plaintext of an SK
// payload; first is the type of the first one.
func ParsePayloads(first PayloadType, b []byte) ([]Payload, error) {
	return parsePayloads(first, wire.NewReader("IKE payloads", b))
}

func parsePayloads(next PayloadType, r *wire.Reader) ([]Payload, error) {
	var ps []Payload
	counts := map[PayloadType]int{}
	for next != NoNextPayload {
		at := r.Offset()
		typ := next
		next = PayloadType(r.U8())
		critical := r.U8()&0x80 != 0
		n := int(r.U16())
		if r.Err() == nil && n < 4 {
			r.Fail(at+2, wire.ErrLength)
		}
		body := r.Sub(typ.String()+" payload", n-4)
		if err := r.Err(); err != nil {
			return nil, err
		}
		counts[typ]++
		if len(ps) == MaxPayloads || counts[typ] > maxOf(typ) {
			r.Fail(at, fmt.Errorf("%s payload: %w", typ, ErrTooMany))
			return nil, r.Err()
		}
		p := parseBody(typ, next, critical, body)
		if typ == TypeSK || typ == TypeSKF {
			// "it MUST be the last payload in the message"; its Next names the first inside.
			next = NoNextPayload
		}
		if err := body.Finish(); err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return ps, nil
}

// maxOf returns how many payloads of type t one message may contain.
func maxOf(t PayloadType) int {
	switch t {
	case TypeSA, TypeKE, TypeIDi, TypeIDr, TypeAuth, TypeNonce, TypeTSi, TypeTSr, TypeSK, TypeSKF:
		return 1
	case TypeCP:
		return 2
	case TypeEAP:
		return MaxEAPs
	case TypeNotify:
		return MaxNotifies
	case TypeVendorID:
		return MaxVendorIDs
	case TypeCertRequest:
		return MaxCertRequests
	case TypeCert:
		return MaxCerts
	case TypeDelete:
		return MaxDeletes
	}
	return MaxPayloads
}

// parseBody reads all of r. A failure is kept in r.
func parseBody(t, next PayloadType, critical bool, r *wire.Reader) Payload {
	switch t {
	case TypeSA:
		return parseSA(r)
	case TypeKE:
		return parseKE(r)
	case TypeIDi:
		return &IDi{parseIdentity(r)}
	case TypeIDr:
		return &IDr{parseIdentity(r)}
	case TypeCert:
		return parseCert(r)
	case TypeCertRequest:
		return parseCertRequest(r)
	case TypeAuth:
		return parseAuth(r)
	case TypeNonce:
		return parseNonce(r)
	case TypeNotify:
		return parseNotify(r)
	case TypeDelete:
		return parseDelete(r)
	case TypeVendorID:
		return parseVendorID(r)
	case TypeTSi:
		return &TSi{parseSelectors(r)}
	case TypeTSr:
		return &TSr{parseSelectors(r)}
	case TypeSK:
		return parseSK(next, r)
	case TypeSKF:
		return parseSKF(next, r)
	case TypeCP:
		return parseCP(r)
	case TypeEAP:
		return parseEAP(r)
	}
	if critical {
		r.Fail(r.Offset(), &UnsupportedCriticalError{Type: t})
	}
	return parseRaw(t, r)
}

// AppendBinary appends the encoded message to b; next payload and length of
// the header are computed.
func (m *Message) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	h := m.Header
	out, err := h.AppendBinary(b)
	if err != nil {
		return b, err
	}
	first, out, err := AppendPayloads(out, m.Payloads)
	if err != nil {
		return b, err
	}
	out[start+16] = byte(first)
	n := len(out) - start
	if uint64(n) > math.MaxUint32 {
		return b, fmt.Errorf("encode %s: %w", m.Header, wire.ErrTooLong)
	}
	wire.PutU32At(out, start+24, uint32(n))
	return out, nil
}

// AppendPayloads appends the chain of payloads to b and returns the type of
// the first. SK and SKF payloads may only be last.
func AppendPayloads(b []byte, ps []Payload) (first PayloadType, out []byte, err error) {
	out = b
	for i, p := range ps {
		next := NoNextPayload
		var flags byte
		switch v := p.(type) {
		case *SK:
			next = v.Next
		case *SKF:
			next = v.Next
		case *Raw:
			if v.Critical {
				flags = 0x80
			}
		}
		if i == 0 {
			first = p.Type()
		}
		if i+1 < len(ps) {
			if t := p.Type(); t == TypeSK || t == TypeSKF {
				return NoNextPayload, b, fmt.Errorf("encode %s payload before another: %w", t, ErrOrder)
			}
			next = ps[i+1].Type()
		}
		at := len(out)
		out = append(out, byte(next), flags, 0, 0)
		if out, err = p.AppendBody(out); err != nil {
			return NoNextPayload, b, fmt.Errorf("encode %s payload: %w", p.Type(), err)
		}
		n := len(out) - at
		if n > math.MaxUint16 {
			return NoNextPayload, b, fmt.Errorf("encode %s payload of %d octets: %w", p.Type(), n, wire.ErrTooLong)
		}
		wire.PutU16At(out, at+2, uint16(n))
	}
	return first, out, nil
}

// First returns the first payload of type T (*SA, *Notify, …).
func First[T Payload](ps []Payload) (v T, ok bool) {
	for _, p := range ps {
		if v, ok = p.(T); ok {
			return v, true
		}
	}
	return v, false
}

// All returns the payloads of type T in order.
func All[T Payload](ps []Payload) (vs []T) {
	for _, p := range ps {
		if v, ok := p.(T); ok {
			vs = append(vs, v)
		}
	}
	return vs
}

// Notify returns the first notify of type t, or nil.
func (m *Message) Notify(t NotifyType) *Notify {
	for _, p := range m.Payloads {
		if n, ok := p.(*Notify); ok && n.NotifyType == t {
			return n
		}
	}
	return nil
}

// ErrorNotify returns the first notify that reports an error, or nil.
func (m *Message) ErrorNotify() *Notify {
	for _, p := range m.Payloads {
		if n, ok := p.(*Notify); ok && n.NotifyType.IsError() {
			return n
		}
	}
	return nil
}

// Summary is what strongSwan's [ENC] lines show of a message:
//
//	IKE_AUTH request 1 [ IDi N(INIT_CONTACT) CERTREQ IDr SA TSi TSr N(MOBIKE_SUP) N(EAP_ONLY) ]
func (m *Message) Summary() string {
	var b strings.Builder
	b.WriteString(m.Header.String())
	b.WriteString(" [")
	for _, p := range m.Payloads {
		b.WriteByte(' ')
		if s, ok := p.(interface{ summary() string }); ok {
			b.WriteString(s.summary())
		} else {
			b.WriteString(p.Type().String())
		}
	}
	b.WriteString(" ]")
	return b.String()
}
