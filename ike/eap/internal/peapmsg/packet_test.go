package peapmsg

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
		got, err := Expand(eap.CodeRequest, 9, []byte(in))
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%x", in)
	}
	for _, bad := range [][]byte{nil, make([]byte, 0xfffd)} {
		_, err := Expand(eap.CodeRequest, 9, bad)
		require.Error(t, err)
	}
	require.Equal(t, "\x06x", string(Compress([]byte("\x02\x09\x00\x06\x06x"))))
	require.Equal(t, "\x02\x09\x00\x06\x21x", string(Compress([]byte("\x02\x09\x00\x06\x21x"))))
}

func TestResult(t *testing.T) {
	for _, r := range []Result{{Status: ResultSuccess}, {Status: ResultFailure}, {Status: ResultSuccess, Binding: make([]byte, bindingLen)}} {
		b := r.AppendBinary(nil)
		got, err := ParseResult(b)
		require.NoError(t, err)
		require.Equal(t, r, got)
		for n := range len(b) {
			if got, err := ParseResult(b[:n]); err == nil {
				require.Nil(t, got.Binding)
				require.Equal(t, 6, n, "the result alone")
			}
		}
	}
	require.Equal(t, []byte{0x80, 3, 0, 2, 0, 1}, Result{Status: ResultSuccess}.AppendBinary(nil))
	unknown, err := ParseResult([]byte{0, 99, 0, 1, 7, 0x80, 3, 0, 2, 0, 1})
	require.NoError(t, err, "an optional TLV that nobody knows")
	require.EqualValues(t, ResultSuccess, unknown.Status)
	for _, bad := range []string{"", "\x80\x03\x00\x02\x00\x03", "\x80\x03\x00\x01\x01", "\x80\x63\x00\x00\x80\x03\x00\x02\x00\x01", "\x00\x0c\x00\x00\x80\x03\x00\x02\x00\x01"} {
		_, err := ParseResult([]byte(bad))
		require.Error(t, err, "%x", bad)
	}
	var many []byte
	for range tlvsMax + 2 {
		many = append(many, 0, 99, 0, 0)
	}
	_, err = ParseResult(append(many, 0x80, 3, 0, 2, 0, 1))
	require.Error(t, err)
}

func FuzzParseResult(f *testing.F) {
	f.Add(Result{Status: ResultSuccess, Binding: make([]byte, bindingLen)}.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b)
		if err != nil {
			return
		}
		again, err := ParseResult(r.AppendBinary(nil))
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
