package pb

import (
	"github.com/gotnc/gotnc/internal/base/wire"
)

// ReasonString is a PB-Reason-String message (RFC 5793 section 4.11): u32 length, text,
// u8 length, language tag. Several in one batch are one reason in several
// languages.
type ReasonString struct {
	Text     string // UTF-8 as received
	Language string // RFC 4646 tag, may be empty
}

// MessageType returns TypeReasonString.
func (ReasonString) MessageType() MessageType { return TypeReasonString }

// AppendBinary appends the message.
func (m ReasonString) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypeReasonString, func(b []byte) ([]byte, error) {
		return appendText(b, m.Text, m.Language)
	})
}

func parseReasonString(r *wire.Reader) (Message, error) {
	m := ReasonString{Text: text32(r), Language: text8(r)}
	return m, r.Err()
}
