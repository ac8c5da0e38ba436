package pb

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Item is one message of a received batch. PB-PA messages, the bulk of every
// session, are in PA, without an allocation; all others are in Message.
type Item struct {
	PA      PA      // where Message is nil; its Body is a view into the batch
	Message Message // does not refer to the batch
}

// AppendItems is ParseMessages without its copies: it appends to dst, which a
// session reuses for every batch, and the bodies of PB-PA messages are views into
// b. Clone what is kept.
//
// Errors are fatal: nothing of the batch may be acted upon. warnings are errors
// that are not fatal; the messages that they concern are among the items.
func AppendItems(dst []Item, h Header, b []byte) (items []Item, warnings []*ProtocolError, err error) {
	if len(b) < HeaderSize {
		return dst, nil, invalid(0, wire.ErrTruncated)
	}
	first := len(dst)
	for at := HeaderSize; at < len(b); {
		if len(dst)-first == MaxMessages {
			return dst[:first], nil, &ProtocolError{Code: CodeLocalError, Err: fmt.Errorf("more than %d messages in a PB-TNC batch", MaxMessages)}
		}
		dst = append(dst, Item{})
		it := &dst[len(dst)-1]
		n, ok := viewPA(b, at, &it.PA)
		if !ok {
			// All other messages, and PB-PA messages with an error.
			r := wire.NewReaderAt("PB-TNC batch", b[at:], at)
			m, err := parseMessage(r, h)
			if err != nil {
				return dst[:first], nil, err
			}
			if w := warn(h, m, at); w != nil {
				warnings = append(warnings, w)
			}
			it.Message = m
			n = r.Offset() - at
		}
		at += n
	}
	return dst, warnings, nil
}

// viewPA reads a PB-PA message at offset at of b without a copy, and returns its
// length. ok is false for all other messages and for a PB-PA message with an
// error, which parseMessage reports.
func viewPA(b []byte, at int, m *PA) (length int, ok bool) {
	const size = MessageOverhead + PAOverhead
	if len(b)-at < size {
		return 0, false
	}
	h := b[at : at+size]
	if h[0]&flagNoSkip == 0 || u24(h[1:]) != VendorIETF || binary.BigEndian.Uint32(h[4:]) != TypePA.Type {
		return 0, false
	}
	n := binary.BigEndian.Uint32(h[8:])
	if n < size || uint64(n) > uint64(len(b)-at) {
		return 0, false
	}
	vendor, subtype := u24(h[13:]), binary.BigEndian.Uint32(h[16:])
	if vendor == VendorReserved || subtype == TypeReserved {
		return 0, false
	}
	*m = PA{
		Exclusive: h[12]&flagExclusive != 0,
		Vendor:    vendor,
		Subtype:   subtype,
		Collector: binary.BigEndian.Uint16(h[20:]),
		Validator: binary.BigEndian.Uint16(h[22:]),
		Body:      b[at+size : at+int(n) : at+int(n)],
	}
	return int(n), true
}

func u24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

// warn returns the error about a message that can be used or ignored without harm,
// nil if there is none.
func warn(h Header, m Message, at int) *ProtocolError {
	const value = MessageOverhead
	complain := func(offset int, format string, a ...any) *ProtocolError {
		e := invalid(offset, fmt.Errorf(format, a...))
		e.NonFatal = true
		return e
	}
	switch m := m.(type) {
	case AssessmentResult, AccessRecommendation:
		if h.Type != RESULT { // RFC 5793 sections 4.6 and 4.7
			return complain(at, "%s message in a %s batch", m.MessageType(), h.Type)
		}
	case ReasonString:
		if !utf8.ValidString(m.Text) {
			return complain(at+value+4, "%s message: text is not UTF-8", m.MessageType())
		}
	case RemediationParameters:
		if !utf8.ValidString(m.Text) {
			return complain(at+value+12, "%s message: text is not UTF-8", m.MessageType())
		}
		if !utf8.ValidString(m.URI) {
			return complain(at+value+8, "%s message: URI is not UTF-8", m.MessageType())
		}
	}
	return nil
}
