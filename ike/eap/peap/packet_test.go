package peap

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

func TestExpandAndCompress(t *testing.T) {
	for in, want := range map[string]string{
		"\x01":                     "\x01\x09\x00\x05\x01",
		"\x1a\x02\x03":             "\x01\x09\x00\x07\x1a\x02\x03",
		"\x01\x07\x00\x05\x01":     "\x01\x07\x00\x05\x01",
		"\x01\x07\x00\x06\x21\x00": "\x01\x07\x00\x06\x21\x00",
		"\x01\x07\x00\x06\x1a\x00": "\x01\x09\x00\x0a\x01\x07\x00\x06\x1a\x00", // no header but of result and identity
		"\x01\x07\x00\x07\x21\x00": "\x01\x09\x00\x0a\x01\x07\x00\x07\x21\x00", // length
	} {
		got, err := expand(eap.CodeRequest, 9, []byte(in))
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%x", in)
	}
	for _, bad := range [][]byte{nil, make([]byte, 0xfffd)} {
		_, err := expand(eap.CodeRequest, 9, bad)
		require.Error(t, err)
	}
	require.Equal(t, "\x06x", string(compress([]byte("\x02\x09\x00\x06\x06x"))))
	require.Equal(t, "\x02\x09\x00\x06\x21x", string(compress([]byte("\x02\x09\x00\x06\x21x"))))
}

func TestResult(t *testing.T) {
	for _, r := range []result{{status: resultSuccess}, {status: resultFailure}, {status: resultSuccess, binding: make([]byte, bindingLen)}} {
		b := r.appendBinary(nil)
		got, err := parseResult(b)
		require.NoError(t, err)
		require.Equal(t, r, got)
		for n := range len(b) {
			if got, err := parseResult(b[:n]); err == nil {
				require.Nil(t, got.binding)
				require.Equal(t, 6, n, "the result alone")
			}
		}
	}
	require.Equal(t, []byte{0x80, 3, 0, 2, 0, 1}, result{status: resultSuccess}.appendBinary(nil))
	unknown, err := parseResult([]byte{0, 99, 0, 1, 7, 0x80, 3, 0, 2, 0, 1})
	require.NoError(t, err, "an optional TLV that nobody knows")
	require.EqualValues(t, resultSuccess, unknown.status)
	for _, bad := range []string{"", "\x80\x03\x00\x02\x00\x03", "\x80\x03\x00\x01\x01", "\x80\x63\x00\x00\x80\x03\x00\x02\x00\x01", "\x00\x0c\x00\x00\x80\x03\x00\x02\x00\x01"} {
		_, err := parseResult([]byte(bad))
		require.Error(t, err, "%x", bad)
	}
	var many []byte
	for range tlvsMax + 2 {
		many = append(many, 0, 99, 0, 0)
	}
	_, err = parseResult(append(many, 0x80, 3, 0, 2, 0, 1))
	require.Error(t, err)
}

func FuzzInside(f *testing.F) {
	f.Add([]byte{1}, []byte{1, 99, 0, 11, 33, 0x80, 3, 0, 2, 0, 1})
	f.Add([]byte{4, 1, 2}, result{status: 1, binding: make([]byte, bindingLen)}.appendBinary([]byte{1, 1, 0, 71, 33}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := inner()
		defer in.peer.Close()
		for _, d := range [][]byte{a, b} {
			out, err := in.Receive(3, d)
			if err == nil && len(out) == 0 && !in.ended {
				t.Fatal("no answer")
			}
		}
	})
}
