package pttls

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// encoder is a value of a message.
type encoder interface {
	AppendBinary([]byte) ([]byte, error)
}

// vectors are messages with the value decoded.
var vectors = []struct {
	name, hex string
	typ       Type
	id        uint32
	value     encoder
}{
	{"Version Request", "00 000000 00000001 00000014 00000000 00010101", TypeVersionRequest, 0, VersionRequest{1, 1, 1}},
	{"Version Response", "00 000000 00000002 00000014 00000000 00000001", TypeVersionResponse, 0, VersionResponse{1}},
	{"SASL Mechanisms", "00 000000 00000003 00000016 00000001 05504c41494e", TypeSASLMechanisms, 1, Mechanisms{"PLAIN"}},
	{"SASL Mechanism Selection", "00 000000 00000004 0000001f 00000001 05504c41494e 00 6361726f6c 00 7077", TypeSASLSelection, 1, Selection{"PLAIN", []byte("\x00carol\x00pw")}},
	{"SASL Result, strongSwan", "00 000000 00000006 00000011 00000002 00", TypeSASLResult, 2, SASLResult{Short: true}},
	{"SASL Result, RFC", "00 000000 00000006 00000012 00000002 0000", TypeSASLResult, 2, SASLResult{Data: []byte{}}},
	{"empty SASL Mechanisms", "00 000000 00000003 00000010 00000003", TypeSASLMechanisms, 3, Mechanisms{}},
	{"PB-TNC CLOSE", "00 000000 00000007 00000018 00000002 0200000600000008", TypeBatch, 2, nil},
	{"PT-TLS Error 3 about type 9", "00 000000 00000008 00000028 00000005 00 000000 00000003 00 000000 00000009 00000010 0000004d", TypeError, 5,
		Error{Code: CodeTypeNotSupported, Copy: []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 16, 0, 0, 0, 0x4d}}},
}

// parseValue decodes what m holds.
func parseValue(m Message) (encoder, error) {
	if m.Vendor != 0 {
		return nil, nil
	}
	switch m.Type {
	case TypeVersionResponse:
		return ParseVersionResponse(m.Value)
	case TypeSASLMechanisms:
		return ParseMechanisms(m.Value)
	case TypeSASLResult:
		return ParseSASLResult(m.Value)
	case TypeError:
		return ParseError(m.Value)
	}
	return nil, nil
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			b := unhex(t, v.hex)
			m, err := ParseMessage(b)
			require.NoError(t, err)
			assert.True(t, m.Is(v.typ))
			assert.Equal(t, v.id, m.ID)
			value, err := parseValue(m)
			require.NoError(t, err)
			if value == nil { // a server decodes it: see package pttlstest
				value = v.value
			}
			assert.Equal(t, v.value, value)
			if value != nil {
				m.Value, err = value.AppendBinary(nil)
				require.NoError(t, err)
			}
			again, err := m.AppendBinary(nil)
			require.NoError(t, err)
			assert.Equal(t, b, again)

			r := iotest.OneByteReader(bytes.NewReader(append(b, b...))) // messages span records
			for range 2 {
				got, err := ReadMessage(r, MaxMessageSize)
				require.NoError(t, err)
				assert.Equal(t, m.Type, got.Type)
				assert.Equal(t, m.ID, got.ID)
			}
			_, err = ReadMessage(r, MaxMessageSize)
			assert.Equal(t, io.EOF, err)
		})
	}
}

func TestTruncated(t *testing.T) {
	for _, v := range vectors {
		b := unhex(t, v.hex)
		for n := range b {
			_, err := ParseMessage(b[:n])
			assert.Error(t, err, "%s at %d", v.name, n)
			_, err = ReadMessage(bytes.NewReader(b[:n]), MaxMessageSize)
			assert.Error(t, err, "%s at %d", v.name, n)
		}
		value := b[HeaderSize:]
		for n := range value {
			got, err := parseValue(Message{Type: v.typ, Value: value[:n]})
			if err == nil && got != nil { // shorter, and valid
				again, err := got.AppendBinary(nil)
				require.NoError(t, err)
				assert.Equal(t, value[:n:n], append([]byte{}, again...), "%s at %d", v.name, n)
			}
		}
	}
}

// Header values that no message may have are answered with Invalid Parameter,
// and the header comes back in the error.
func TestBadHeaders(t *testing.T) {
	for name, s := range map[string]string{
		"vendor":    "00 ffffff 00000001 00000014 00000007 00010101",
		"type":      "00 000000 ffffffff 00000014 00000007 00010101",
		"short":     "00 000000 00000001 0000000f 00000007",
		"zero":      "00 000000 00000001 00000000 00000007",
		"long":      "00 000000 00000001 00200001 00000007",
		"very long": "00 000000 00000001 ffffffff 00000007",
	} {
		t.Run(name, func(t *testing.T) {
			b := unhex(t, s)
			_, err := ReadMessage(bytes.NewReader(b), MaxMessageSize)
			var pe *ProtocolError
			require.ErrorAs(t, err, &pe)
			assert.Equal(t, CodeInvalidParameter, pe.Code)
			id, ok := pe.Report.ID()
			assert.True(t, ok)
			assert.Equal(t, uint32(7), id)
			var de *wire.DecodeError
			assert.ErrorAs(t, err, &de)
		})
	}
	_, err := ParseMessage(unhex(t, "00 000000 00000001 00000015 00000007 00010101"))
	assert.ErrorIs(t, err, wire.ErrLength)
	_, err = ReadMessage(bytes.NewReader(unhex(t, "00 000000 00000001 00000014 00000007 0001")), MaxMessageSize)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// A header that promises much costs nothing until the octets arrive.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	head := unhex(t, "00 000000 00000007 00200000 00000000")
	n := testing.AllocsPerRun(20, func() {
		_, err := ReadMessage(bytes.NewReader(head), MaxMessageSize)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	assert.Less(t, n, 20.0)
}

func TestTooLongToEncode(t *testing.T) {
	_, err := Message{Value: make([]byte, MaxBatch+1)}.AppendBinary(nil)
	assert.ErrorIs(t, err, wire.ErrTooLong)
	b, err := Message{Type: TypeBatch, Value: make([]byte, MaxBatch)}.AppendBinary(nil)
	require.NoError(t, err)
	m, err := ReadMessage(bytes.NewReader(b), MaxMessageSize)
	require.NoError(t, err)
	assert.Len(t, m.Value, MaxBatch)
}

func TestMechanismGrammar(t *testing.T) {
	for _, bad := range []string{"00", "06504c41494e", "05706c61696e", "15" + strings.Repeat("41", 21)} {
		_, err := ParseMechanisms(unhex(t, bad))
		assert.Error(t, err, bad)
	}
	// The upper three bits of the length are reserved.
	ms, err := ParseMechanisms(unhex(t, "e5504c41494e0845585445524e414c"))
	require.NoError(t, err)
	assert.Equal(t, Mechanisms{MechanismPlain, MechanismExternal}, ms)
	_, err = ParseMechanisms(bytes.Repeat([]byte{1, 'A'}, maxMechanisms+1))
	assert.ErrorIs(t, err, wire.ErrValue)
	_, err = Mechanisms{"plain"}.AppendBinary(nil)
	assert.ErrorIs(t, err, wire.ErrValue)
}

func TestPlain(t *testing.T) {
	b, err := Plain("carol", []byte("pw"))
	require.NoError(t, err)
	assert.Equal(t, "\x00carol\x00pw", string(b))
	for _, bad := range [][2]string{{"", "pw"}, {"carol", ""}, {"ca\x00rol", "pw"}, {"carol", "p\x00w"}, {"\xff", "pw"}, {strings.Repeat("a", 256), "pw"}, {"carol", strings.Repeat("a", 256)}} {
		_, err := Plain(bad[0], []byte(bad[1]))
		assert.Error(t, err, "%q", bad)
	}
}

func TestErrorsAreFatalBut(t *testing.T) {
	for c := CodeReserved; c <= CodeInvalidParameter+1; c++ {
		assert.Equal(t, c != CodeReserved && c != CodeTypeNotSupported, Error{Code: c}.Fatal(), c.String())
	}
	assert.True(t, Error{Vendor: 36906}.Fatal())
	long, err := Error{Code: CodeMalformed, Copy: make([]byte, 5000)}.AppendBinary(nil)
	require.NoError(t, err)
	assert.Len(t, long, 8+1024)
}

func FuzzReadMessage(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadMessage(bytes.NewReader(b), MaxMessageSize)
		if err != nil {
			return
		}
		whole := b[:HeaderSize+len(m.Value)]
		p, err := ParseMessage(whole)
		require.NoError(t, err)
		require.Equal(t, m.ID, p.ID)
		again, err := m.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, whole[1:], again[1:]) // the first octet is reserved
		v, err := parseValue(m)
		if err != nil || v == nil {
			return
		}
		enc, err := v.AppendBinary(nil)
		require.NoError(t, err)
		v2, err := parseValue(Message{Type: m.Type, Value: enc})
		require.NoError(t, err)
		require.Equal(t, v, v2)
	})
}
