package pb

import (
	"bytes"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Remediation parameter types of the IETF (RFC 5793 section 4.8.1).
const (
	RemediationURI    = 1
	RemediationString = 2
)

// RemediationParameters is a PB-Remediation-Parameters message (RFC 5793 section 4.8).
//
//	0        1             4          8
//	+--------+-------------+----------+---------------
//	| 0      | vendor u24  | type u32 | parameters
//	+--------+-------------+----------+---------------
type RemediationParameters struct {
	Vendor   uint32 // 24 bit
	Type     uint32
	URI      string // IETF type 1
	Text     string // IETF type 2, UTF-8
	Language string // IETF type 2, RFC 4646 tag
	Data     []byte // parameters of every other type
}

// MessageType returns TypeRemediationParameters.
func (RemediationParameters) MessageType() MessageType { return TypeRemediationParameters }

// AppendBinary appends the message.
func (m RemediationParameters) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypeRemediationParameters, func(b []byte) ([]byte, error) {
		b = wire.AppendU32(wire.AppendU24(append(b, 0), m.Vendor), m.Type)
		switch {
		case m.Vendor == VendorIETF && m.Type == RemediationURI:
			if strings.IndexByte(m.URI, 0) >= 0 {
				return nil, errNUL
			}
			return append(b, m.URI...), nil
		case m.Vendor == VendorIETF && m.Type == RemediationString:
			return appendText(b, m.Text, m.Language)
		}
		return append(b, m.Data...), nil
	})
}

func parseRemediationParameters(r *wire.Reader) (Message, error) {
	r.Skip(1)
	m := RemediationParameters{Vendor: r.U24(), Type: r.U32()}
	switch {
	case m.Vendor == VendorIETF && m.Type == RemediationURI:
		m.URI = text(r, r.Len())
	case m.Vendor == VendorIETF && m.Type == RemediationString:
		m.Text = text32(r)
		m.Language = text8(r)
	default:
		m.Data = bytes.Clone(r.Rest())
	}
	return m, r.Err()
}
