package pb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageAt(t *testing.T) {
	b, err := Batch{Type: CDATA, Messages: []Message{
		LanguagePreference{Languages: "en"}, PA{Vendor: 1, Subtype: 2, Body: []byte("body")},
	}}.AppendBinary(nil)
	require.NoError(t, err)
	second := HeaderSize + MessageOverhead + len(languagePrefix) + len("en")
	for offset := range len(b) + 10 {
		got, ok := MessageAt(b, uint32(offset))
		switch {
		case offset < HeaderSize, offset >= len(b):
			require.False(t, ok, "%d", offset)
		case offset < second:
			require.Equal(t, TypeLanguagePreference, got, "%d", offset)
		default:
			require.Equal(t, TypePA, got, "%d", offset)
		}
	}
	_, ok := MessageAt(b, 0xffffffff)
	require.False(t, ok)
	for n := range b {
		_, _ = MessageAt(b[:n], uint32(second)) // whatever it is: no panic
	}
	require.Equal(t, "received fatal PB-TNC error 'Invalid Parameter' (offset 9 bytes) about our IETF/PB-Language-Preference message",
		(&PeerError{Received: Error{Fatal: true, Code: CodeInvalidParameter, Parameters: []byte{0, 0, 0, 9}}, About: &TypeLanguagePreference}).Error())
}
