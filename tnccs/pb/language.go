package pb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

const languagePrefix = "Accept-Language: "

// LanguagePreference is a PB-Language-Preference message (RFC 5793 section 4.10). Its
// value is the text "Accept-Language: " and what RFC 3282 lets follow.
type LanguagePreference struct {
	// Languages is the value of the header: "fr, en". Empty means "no preference
	// any more"; strongSwan rejects a message that says so.
	Languages string
}

// MessageType returns TypeLanguagePreference.
func (LanguagePreference) MessageType() MessageType { return TypeLanguagePreference }

// AppendBinary appends the message.
func (m LanguagePreference) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypeLanguagePreference, func(b []byte) ([]byte, error) {
		if i := control(m.Languages); i >= 0 {
			return nil, fmt.Errorf("language preference %q: %w", m.Languages, errControl)
		}
		if m.Languages == "" {
			return b, nil
		}
		return append(append(b, languagePrefix...), m.Languages...), nil
	})
}

func parseLanguagePreference(r *wire.Reader) (Message, error) {
	at := r.Offset()
	s := string(r.Rest())
	if s == "" {
		return LanguagePreference{}, r.Err()
	}
	v, ok := strings.CutPrefix(s, languagePrefix)
	if !ok {
		r.Fail(at, errors.New("language preference must be preceded by '"+languagePrefix+"'"))
	} else if i := control(v); i >= 0 {
		r.Fail(at+len(languagePrefix)+i, errControl)
	}
	return LanguagePreference{Languages: v}, r.Err()
}

// control returns the index of the first octet that is not printable ASCII.
func control(s string) int {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}
