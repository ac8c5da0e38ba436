package xml

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

const closing = "\n</TNCCS-Batch>"

// Builder fills one batch up to a size. It writes the subset of XML that the
// search of hostapd finds: no blanks between elements, no prefixes, no single
// quotes.
type Builder struct {
	b     []byte
	limit int // octets
	count int
}

// NewBuilder starts a batch of at most limit octets.
func NewBuilder(id uint32, to Recipient, limit int) *Builder {
	b := fmt.Appendf(nil, "<?xml version=\"1.0\"?>\n<TNCCS-Batch BatchId=\"%d\" Recipient=\"%s\" xmlns=\"%s\" xmlns:xsi=\"%s\" xsi:schemaLocation=\"%s %s\">\n",
		id, to, Namespace, xsiNamespace, Namespace, schemaLocation)
	return &Builder{b: b, limit: limit}
}

// Add appends m if it fits and reports whether it did.
func (b *Builder) Add(m Message) (bool, error) {
	was := len(b.b)
	out, err := appendMessage(b.b, m)
	if err != nil {
		b.b = b.b[:was]
		return false, err
	}
	if len(out)+len(closing) > b.limit {
		b.b = out[:was]
		return false, nil
	}
	b.b = out
	b.count++
	return true, nil
}

// Count returns the number of messages in the batch.
func (b *Builder) Count() int { return b.count }

// Bytes returns the document; the Builder is not used any more.
func (b *Builder) Bytes() []byte { return append(b.b, closing...) }

// Overhead returns the size of a batch of one IMCIMV message without the Base64
// text of its body, in octets.
func Overhead() int {
	b := NewBuilder(1<<32-1, TNCS, 1<<20)
	_, _ = b.Add(IMCIMV{}) // fits
	return len(b.Bytes())
}

// appendMessage appends an element.
func appendMessage(b []byte, m Message) ([]byte, error) {
	if m, ok := m.(IMCIMV); ok {
		b = fmt.Appendf(b, "<IMC-IMV-Message><Type>%08x</Type><Base64>", m.Type)
		b = base64.StdEncoding.AppendEncode(b, m.Body)
		return append(b, "</Base64></IMC-IMV-Message>"...), nil
	}
	b = fmt.Appendf(b, "<TNCC-TNCS-Message><Type>%08x</Type><XML>", m.MessageType())
	var err error
	switch m := m.(type) {
	case Recommendation:
		b = fmt.Appendf(b, "<TNCCS-Recommendation type=\"%s\"></TNCCS-Recommendation>", m.Type)
	case Error:
		b = fmt.Appendf(b, "<TNCCS-Error type=\"%s\">", m.Type)
		b, err = appendText(b, m.Text)
		b = append(b, "</TNCCS-Error>"...)
	case PreferredLanguage:
		b = append(b, "<TNCCS-PreferredLanguage>"...)
		b, err = appendText(b, m.Languages)
		b = append(b, "</TNCCS-PreferredLanguage>"...)
	case ReasonStrings:
		b = append(b, "<TNCCS-ReasonStrings>"...)
		for _, r := range m.Reasons {
			b = append(b, "<ReasonString xml:lang=\""...)
			if b, err = appendText(b, r.Language); err != nil {
				return nil, err
			}
			b = append(b, "\">"...)
			if b, err = appendText(b, r.Text); err != nil {
				return nil, err
			}
			b = append(b, "</ReasonString>"...)
		}
		b = append(b, "</TNCCS-ReasonStrings>"...)
	case ContactInfo:
		b = append(b, "<TNCCS-TNCSContactInfo address=\""...)
		if b, err = appendText(b, m.Address); err != nil {
			return nil, err
		}
		b = append(b, "\" port=\""...)
		b, err = appendText(b, m.Port)
		b = append(b, "\"></TNCCS-TNCSContactInfo>"...)
	default:
		return nil, fmt.Errorf("a message of type 0x%08x cannot be written", m.MessageType())
	}
	if err != nil {
		return nil, err
	}
	return append(b, "</XML></TNCC-TNCS-Message>"...), nil
}

// appendText appends escaped text.
func appendText(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("text %q is not UTF-8", s)
	}
	var w strings.Builder
	if err := xml.EscapeText(&w, []byte(s)); err != nil {
		return nil, err
	}
	return append(b, w.String()...), nil
}
