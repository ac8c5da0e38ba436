package bios

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

var le = binary.LittleEndian

func field(b []byte) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }

func sha1Event(index uint32, t EventType, sum, data []byte) []byte {
	b := le.AppendUint32(le.AppendUint32(nil, index), uint32(t))
	return append(append(b, sum...), field(data)...)
}

func specID(algorithms ...uint16) []byte {
	b := append([]byte(specSignature), 0, 0, 0, 0, 0, 2, 0, 2)
	b = le.AppendUint32(b, uint32(len(algorithms)/2))
	for _, a := range algorithms {
		b = le.AppendUint16(b, a)
	}
	return sha1Event(0, NoAction, make([]byte, 20), append(b, 0))
}

func agile(index uint32, t EventType, data []byte) []byte {
	b := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, index), uint32(t)), 2)
	s1, s2 := sha1.Sum(data), sha256.Sum256(data)
	b = append(le.AppendUint16(b, 4), s1[:]...)
	b = append(le.AppendUint16(b, 11), s2[:]...)
	return append(b, field(data)...)
}

func agileLog() []byte {
	b := specID(4, 20, 11, 32)
	b = append(b, agile(0, NoAction, append([]byte(localitySignature), 4))...)
	b = append(b, agile(0, SCRTMVersion, []byte("1.0"))...)
	b = append(b, agile(7, EFIVariableDriverConfig, bytes.Repeat([]byte{7}, 70000))...)
	return append(b, agile(4, EventType(0xABCDEF01), nil)...)
}

func all(t *testing.T, log []byte) (*Reader, []*Event) {
	t.Helper()
	r := NewReader(bytes.NewReader(log))
	var es []*Event
	for {
		e, err := r.Next()
		if err == io.EOF {
			return r, es
		}
		require.NoError(t, err)
		es = append(es, e)
	}
}

func TestCryptoAgile(t *testing.T) {
	r, es := all(t, agileLog())
	require.Len(t, es, 5)
	require.Equal(t, &Header{Major: 2, UintnSize: 2, VendorInfo: []byte{}, Algorithms: []HeaderAlgorithm{{pcr.SHA1, 20}, {pcr.SHA256, 32}}}, r.Header())
	l, ok := es[1].StartupLocality()
	require.True(t, ok)
	require.EqualValues(t, 4, l)
	require.False(t, es[1].Extends())
	want := sha256.Sum256([]byte("1.0"))
	require.Equal(t, want[:], es[2].Digest(pcr.SHA256))
	require.Nil(t, es[2].Digest(pcr.SHA384))
	require.Len(t, es[3].Data, 70000)
	require.Equal(t, "event type 0xabcdef01", es[4].Type.String())
	require.Equal(t, "EV_EFI_VARIABLE_DRIVER_CONFIG", es[3].Type.String())

	b := pcr.NewBank(pcr.SHA256)
	n, err := Replay(bytes.NewReader(agileLog()), b, 0)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	start := make([]byte, 32)
	start[31] = 4
	pcr0 := sha256.Sum256(append(start, want[:]...))
	require.Equal(t, pcr0[:], b.Value(0))
	require.EqualValues(t, 1<<0|1<<4|1<<7, b.Touched())
}

func TestSHA1Format(t *testing.T) {
	sum := sha1.Sum([]byte("x"))
	log := append(sha1Event(2, PostCode, sum[:], []byte("x")), sha1Event(3, NoAction, make([]byte, 20), nil)...)
	r, es := all(t, log)
	require.Nil(t, r.Header())
	require.Len(t, es, 2)
	require.Equal(t, sum[:], es[0].Digest(pcr.SHA1))
	require.Nil(t, es[0].Digest(pcr.SHA256))
	b := pcr.NewBank(pcr.SHA1)
	n, err := Replay(bytes.NewReader(log), b, 3)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, byte(3), b.Value(0)[19])
}

// A log without a digest of the bank's algorithm extends nothing there.
func TestBankThatTheLogLacks(t *testing.T) {
	b := pcr.NewBank(pcr.SHA384)
	n, err := Replay(bytes.NewReader(agileLog()), b, 0)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestTruncated(t *testing.T) {
	log := agileLog()
	_, es := all(t, log)
	ends := map[int]bool{0: true}
	for _, e := range es {
		ends[int(e.Offset)] = true
	}
	step := 1
	for n := 0; n < len(log); n += step {
		if n > 400 && n < 70000 {
			step = 997
		} else {
			step = 1
		}
		_, err := Replay(bytes.NewReader(log[:n]), pcr.NewBank(pcr.SHA256), 0)
		if ends[n] {
			require.NoError(t, err, n)
		} else {
			require.ErrorIs(t, err, ErrTruncated, n)
		}
	}
}

func TestHostileLengths(t *testing.T) {
	huge := []byte{0xFF, 0xFF, 0xFF, 0xFF}
	sum := make([]byte, 20)
	event := append(le.AppendUint32(le.AppendUint32(nil, 1), 4), sum...)
	digests := append(specID(4, 20), le.AppendUint32(le.AppendUint32(nil, 1), 4)...)
	for name, c := range map[string]struct {
		log  []byte
		want error
	}{
		"4 GiB event":      {append(bytes.Clone(event), huge...), ErrEvent},
		"4 Gi digests":     {append(bytes.Clone(digests), huge...), ErrAlgorithms},
		"unknown digest":   {append(bytes.Clone(digests), 1, 0, 0, 0, 0x99, 0x99), ErrAlgorithm},
		"no algorithms":    {specID(), ErrHeader},
		"digest size":      {specID(4, 21), ErrHeader},
		"huge digest size": {specID(0x99, 0xFFFF), ErrHeader},
		"claimed, absent":  {append(bytes.Clone(event), 0, 0, 16, 0), ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Replay(bytes.NewReader(c.log), pcr.NewBank(pcr.SHA1), 0)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, c.want)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(MaxEvent))
		})
	}
}

func TestTooManyEvents(t *testing.T) {
	one := sha1Event(1, Separator, make([]byte, 20), nil)
	_, err := Replay(bytes.NewReader(bytes.Repeat(one, MaxEvents+1)), pcr.NewBank(pcr.SHA1), 0)
	require.ErrorIs(t, err, ErrEvents)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReadErrorIsReported(t *testing.T) {
	cause := errors.New("disk")
	_, err := NewReader(io.MultiReader(bytes.NewReader(agileLog()[:50]), failing{cause})).Next()
	require.ErrorIs(t, err, cause)
}

func FuzzReader(f *testing.F) {
	f.Add(agileLog())
	f.Add(sha1Event(1, IPL, make([]byte, 20), []byte("x")))
	f.Add(specID(4, 20, 11, 32))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := NewReader(bytes.NewReader(log))
		for {
			e, err := r.Next()
			if err != nil {
				return
			}
			_ = e.Type.String()
			e.StartupLocality()
			if len(e.Data) > len(log) || len(e.Digests) > MaxAlgorithms {
				t.Fatal("an event is larger than the log")
			}
		}
	})
}
