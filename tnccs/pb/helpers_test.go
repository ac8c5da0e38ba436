package pb

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unhex reads octets written in hexadecimal, with blanks anywhere.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// wrap puts encoded messages into a batch of the server's, or the client's.
func wrap(fromServer bool, t BatchType, messages ...[]byte) []byte {
	b := appendHeader(nil, fromServer, t)
	for _, m := range messages {
		b = append(b, m...)
	}
	b[4], b[5], b[6], b[7] = byte(len(b)>>24), byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
	return b
}

// vector checks that octets and message are the same thing, and that every
// prefix, with lengths that say so, is an error or a shorter value.
func vector(t *testing.T, octets string, m Message) {
	t.Helper()
	b := unhex(t, octets)
	got, err := m.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, b, got)
	x, err := Parse(wrap(true, RESULT, b), Client)
	require.NoError(t, err)
	require.Equal(t, []Message{m}, x.Messages)
	for n := range b {
		p := append([]byte(nil), b[:n]...)
		_, err := Parse(wrap(true, RESULT, p), Client)
		require.True(t, err != nil || n == 0, "prefix of %d octets with the old length", n)
		if n < MessageOverhead {
			continue
		}
		p[8], p[9], p[10], p[11] = 0, 0, byte(n>>8), byte(n)
		x, err := Parse(wrap(true, RESULT, p), Client)
		if err != nil {
			var pe *ProtocolError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, CodeInvalidParameter, pe.Code)
			continue
		}
		again, err := x.Messages[0].AppendBinary(nil)
		require.NoError(t, err)
		y, err := Parse(wrap(true, RESULT, again), Client)
		require.NoError(t, err)
		require.Equal(t, x.Messages, y.Messages)
	}
}

// bad checks that a message is refused, with the offset in a batch that holds
// nothing else.
func bad(t *testing.T, octets string, code ErrorCode, offset int) {
	t.Helper()
	_, err := Parse(wrap(true, RESULT, unhex(t, octets)), Client)
	var pe *ProtocolError
	require.ErrorAs(t, err, &pe, octets)
	require.Equal(t, code, pe.Code, octets)
	require.EqualValues(t, offset, pe.Offset, octets)
}
