package stream

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc"
)

// A stream as RFC 9329 sections 3 and 4 draw it: an IKE message, an ESP packet, a
// keep-alive.
const vector = "494b45544350" + "0009" + "00000000" + "aabbcc" + "000a" + "c1020304" + "00000001" + "0003" + "ff"

func stream(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(vector)
	require.NoError(t, err)
	return b
}

func TestVector(t *testing.T) {
	b, err := AppendIKE([]byte(Prefix), []byte{0xaa, 0xbb, 0xcc})
	require.NoError(t, err)
	b, err = AppendESP(b, []byte{0xc1, 2, 3, 4, 0, 0, 0, 1})
	require.NoError(t, err)
	require.Equal(t, vector[:len(vector)-6], hex.EncodeToString(b))

	r := bytes.NewReader(stream(t))
	require.NoError(t, ReadPrefix(r))
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	for _, want := range []struct {
		kind Kind
		b    []byte
	}{{IKE, []byte{0xaa, 0xbb, 0xcc}}, {ESP, []byte{0xc1, 2, 3, 4, 0, 0, 0, 1}}, {Ignored, nil}} {
		var packet []byte
		packet, rest, err = ParsePacket(rest)
		require.NoError(t, err)
		kind, body := Classify(packet)
		require.Equal(t, want.kind, kind)
		require.Equal(t, want.b, body)
	}
	require.Empty(t, rest)
	require.Equal(t, "IKE ESP ignored", IKE.String()+" "+ESP.String()+" "+Ignored.String())
}

func TestEveryTruncatedPrefix(t *testing.T) {
	b := stream(t)[len(Prefix):]
	for n := range 9 {
		_, rest, err := ParsePacket(b[:n])
		require.ErrorIs(t, err, gotnc.ErrTruncated)
		var de *gotnc.DecodeError
		require.ErrorAs(t, err, &de)
		require.Equal(t, n, de.Offset)
		require.Len(t, rest, n)
	}
	for n := range len(Prefix) {
		require.Error(t, ReadPrefix(strings.NewReader(Prefix[:n])))
	}
	require.ErrorIs(t, ReadPrefix(strings.NewReader("GET / HTTP/1.1")), ErrPrefix)
}

func TestLengths(t *testing.T) {
	for _, n := range []byte{0, 1} {
		_, _, err := ParsePacket([]byte{0, n, 1, 2, 3})
		require.ErrorIs(t, err, gotnc.ErrLength)
	}
	packet, rest, err := ParsePacket([]byte{0, 2, 9})
	require.NoError(t, err)
	require.Empty(t, packet)
	require.Equal(t, []byte{9}, rest)
	_, err = AppendIKE(nil, make([]byte, MaxPacket-3))
	require.Error(t, err)
	_, err = AppendESP(nil, make([]byte, MaxPacket+1))
	require.Error(t, err)
	b, err := AppendESP(nil, make([]byte, MaxPacket))
	require.NoError(t, err)
	packet, rest, err = ParsePacket(b)
	require.NoError(t, err)
	require.Len(t, packet, MaxPacket)
	require.Empty(t, rest)
}

// Packets come out as they went in, however the stream is cut.
func TestReader(t *testing.T) {
	var b []byte
	var want [][]byte
	for i := range 300 {
		p := bytes.Repeat([]byte{byte(i + 1)}, 5+i*31%1500)
		if i == 100 {
			p = bytes.Repeat([]byte{7}, MaxPacket)
		}
		want = append(want, p)
		var err error
		b, err = AppendESP(b, p)
		require.NoError(t, err)
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(b), "an octet at a time": iotest.OneByteReader(bytes.NewReader(b)), "by halves": iotest.HalfReader(bytes.NewReader(b)),
	} {
		t.Run(name, func(t *testing.T) {
			rd, into := NewReader(r), make([][]byte, 0, 16)
			var got [][]byte
			for {
				packets, err := rd.Next(into)
				if err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
				for _, p := range packets {
					got = append(got, bytes.Clone(p))
				}
			}
			require.Equal(t, want, got)
		})
	}
}

func TestReaderEnds(t *testing.T) {
	into := make([][]byte, 0, 4)
	_, err := NewReader(bytes.NewReader([]byte{0, 9, 1})).Next(into)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	rd := NewReader(bytes.NewReader([]byte{0, 3, 1, 0, 1, 1}))
	packets, err := rd.Next(into)
	require.NoError(t, err)
	require.Equal(t, [][]byte{{1}}, packets, "what came before the impossible length")
	_, err = rd.Next(into)
	require.ErrorIs(t, err, gotnc.ErrLength)
	broken := errors.New("connection reset")
	_, err = NewReader(iotest.ErrReader(broken)).Next(into)
	require.ErrorIs(t, err, broken)
}

func FuzzParsePacket(f *testing.F) {
	f.Add(stream(f)[len(Prefix):])
	f.Add([]byte{0, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for rest := b; ; {
			packet, r, err := ParsePacket(rest)
			if err != nil {
				require.True(t, bytes.Equal(b, append(again, rest...)), "what was parsed encodes back")
				return
			}
			switch kind, body := Classify(packet); kind {
			case IKE:
				again, err = AppendIKE(again, body)
			default:
				again, err = AppendESP(again, packet)
			}
			require.NoError(t, err)
			rest = r
		}
	})
}
