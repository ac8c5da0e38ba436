package ima

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// record encodes an entry the way the kernel does; the digest is computed
// unless one is given.
func record(o binary.AppendByteOrder, index uint32, template string, digest []byte, data []byte) []byte {
	if digest == nil {
		s := sha1.Sum(data)
		digest = s[:]
	}
	b := append(o.AppendUint32(nil, index), digest...)
	b = append(o.AppendUint32(b, uint32(len(template))), template...)
	if template != legacyTemplate {
		b = o.AppendUint32(b, uint32(len(data)))
	}
	return append(b, data...)
}

func fields(o binary.AppendByteOrder, fs ...string) (b []byte) {
	for _, f := range fs {
		b = append(o.AppendUint32(b, uint32(len(f))), f...)
	}
	return b
}

var little, big = binary.LittleEndian, binary.BigEndian

func all(t testing.TB, log []byte, o Config) (es []*Entry) {
	t.Helper()
	r := NewReader(bytes.NewReader(log), o)
	for {
		e, err := r.Next()
		if err == io.EOF {
			return es
		}
		require.NoError(t, err)
		es = append(es, e.Clone())
	}
}

// Entries of templates ima-ng and ima, and what they extend a SHA-256 bank by.
func TestVectors(t *testing.T) {
	ng := unhex(t, "0a000000 adf817b690b2a46b0a9f76d073afedcad1c0b44a 06000000"+hex.EncodeToString([]byte("ima-ng"))+
		"31000000 1a000000"+hex.EncodeToString([]byte("sha1:\x00"))+"f572d396fae9206628714fb2ce00f72e94f2258f"+
		"0f000000"+hex.EncodeToString([]byte("/usr/bin/hello\x00")))
	old := unhex(t, "0a000000 c46f9765364398f3cf1b6710d7229bf73b281f5a 03000000"+hex.EncodeToString([]byte("ima"))+
		"f572d396fae9206628714fb2ce00f72e94f2258f 0e000000"+hex.EncodeToString([]byte("/usr/bin/hello")))
	es := all(t, append(bytes.Clone(ng), old...), Config{})
	require.Len(t, es, 2)
	require.Equal(t, "07d87167796eeb2a80563b7955e09d40c104d98f15ff4a53b599187f1ce4c1e7",
		hex.EncodeToString(es[0].AppendMeasurement(nil, pcr.SHA256, PadNone)))
	for _, e := range es {
		require.True(t, e.Intact())
		require.Equal(t, e.Digest, e.AppendMeasurement(nil, pcr.SHA1, PadNone))
		require.Equal(t, append(bytes.Clone(e.Digest), make([]byte, 12)...), e.AppendMeasurement(nil, pcr.SHA256, PadSHA1))
	}
	f := es[0].Fields()
	require.True(t, f.Known)
	require.Equal(t, "sha1", f.Algorithm)
	require.Equal(t, "/usr/bin/hello", f.Name)
	require.Equal(t, "sha1:/usr/bin/hello", f.PolicyURI("ima-ng"))
	require.Equal(t, "f572d396fae9206628714fb2ce00f72e94f2258f", hex.EncodeToString(f.FileDigest))
	f = es[1].Fields()
	require.True(t, f.Known)
	require.Equal(t, "/usr/bin/hello", f.PolicyURI("ima"))
	require.EqualValues(t, len(ng), es[1].Offset)
	es[1].Data[0] ^= 1
	require.False(t, es[1].Intact())
}

var (
	sum256  = func() string { s := sha256.Sum256([]byte("f")); return string(s[:]) }()
	dng     = "sha256:\x00" + sum256
	dngv2   = "verity:sha256:\x00" + sum256
	path    = "/usr/bin/f\x00"
	sig     = "\x03\x02\x04abcd"
	samples = []struct {
		template string
		known    bool
		fields   []string
		check    func(t *testing.T, f Fields)
	}{
		{"ima-ng", true, []string{dng, path}, func(t *testing.T, f Fields) {}},
		{"ima-ngv2", true, []string{dngv2, path}, func(t *testing.T, f Fields) { require.Equal(t, "verity", f.DigestType) }},
		{"ima-sig", true, []string{dng, path, sig}, func(t *testing.T, f Fields) { require.Equal(t, sig, string(f.Signature)) }},
		{"ima-sigv2", true, []string{dngv2, path, ""}, func(t *testing.T, f Fields) { require.Empty(t, f.Signature) }},
		{"ima-buf", true, []string{dng, "kexec-cmdline\x00", "root=/dev/sda1 quiet"}, func(t *testing.T, f Fields) {
			require.Equal(t, "root=/dev/sda1 quiet", string(f.Buffer))
		}},
		{"ima-modsig", true, []string{dng, path, sig, "sha1:\x00" + sum256[:20], "PKCS#7"}, func(t *testing.T, f Fields) {
			require.Equal(t, "sha1", f.ModAlgo)
			require.Equal(t, sum256[:20], string(f.ModDigest))
			require.Equal(t, "PKCS#7", string(f.ModSig))
		}},
		{"evm-sig", true, []string{dng, path, sig, "security.selinux\x00", "\x05\x00\x00\x00", "label", "\x00\x00\x00\x00", "\x00\x00\x00\x00", "\xed\x81"}, func(t *testing.T, f Fields) {
			require.Equal(t, sig, string(f.Signature))
			require.Equal(t, "imode", f.All[8].ID)
		}},
		{"d-ng|n-ng|uuid", true, []string{dng, path, "0123456789abcdef"}, func(t *testing.T, f Fields) { require.Equal(t, "uuid", f.All[2].ID) }},
		{"ima-future", false, []string{dng, path, "news"}, func(t *testing.T, f Fields) { require.Len(t, f.All, 3) }},
	}
)

func TestTemplatesInBothOrders(t *testing.T) {
	for _, o := range []interface {
		binary.AppendByteOrder
		binary.ByteOrder
	}{little, big} {
		var log []byte
		for _, s := range samples {
			log = append(log, record(o, 10, s.template, nil, fields(o, s.fields...))...)
		}
		legacy := append([]byte(sum256[:20]), fields(o, "/old")...)
		padded := make([]byte, 276)
		copy(padded, sum256[:20])
		copy(padded[20:], "/old")
		d := sha1.Sum(padded)
		log = append(log, record(o, 10, "ima", d[:], legacy)...)
		r := NewReader(bytes.NewReader(log), Config{})
		for i, s := range samples {
			e, err := r.Next()
			require.NoError(t, err, "%v %s", o, s.template)
			require.Equal(t, i, e.Index)
			require.True(t, e.Intact())
			f := e.Fields()
			require.Equal(t, s.known, f.Known, s.template)
			require.Equal(t, "sha256", f.Algorithm, s.template)
			require.Equal(t, sum256, string(f.FileDigest))
			require.Equal(t, strings.TrimSuffix(s.fields[1], "\x00"), f.Name)
			s.check(t, f)
		}
		e, err := r.Next()
		require.NoError(t, err)
		require.True(t, e.Intact(), "the ima template in %v", o)
		require.Equal(t, "/old", e.Fields().Name)
		require.Equal(t, o.(binary.ByteOrder), r.Order())
		_, err = r.Next()
		require.Equal(t, io.EOF, err)
	}
}

func TestUnknownTemplateIsCarried(t *testing.T) {
	for _, data := range [][]byte{nil, {1}, []byte("no fields at all"), bytes.Repeat([]byte{0xFF}, 300), fields(little, "one field"), fields(little, "a", "b")} {
		es := all(t, record(little, 10, "strange", nil, data), Config{})
		require.Len(t, es, 1)
		require.Equal(t, string(data), string(es[0].Data))
		f := es[0].Fields()
		require.False(t, f.Known)
		require.Equal(t, "strange", f.PolicyURI(es[0].Template))
		require.True(t, es[0].Intact())
	}
	// A known template with data that does not fit it is carried too.
	es := all(t, record(little, 10, "ima-ng", nil, fields(little, "sha256", "x")), Config{})
	require.Len(t, es, 1)
	require.Equal(t, "x", es[0].Fields().Name)
}

func TestViolation(t *testing.T) {
	e := all(t, record(little, 10, "ima-ng", make([]byte, 20), fields(little, "sha1:\x00"+sum256[:20], path)), Config{})[0]
	require.True(t, e.Violation())
	require.True(t, e.Intact())
	ones := bytes.Repeat([]byte{0xFF}, 64)
	require.Equal(t, ones[:20], e.AppendMeasurement(nil, pcr.SHA1, PadNone))
	require.Equal(t, ones[:20], e.AppendMeasurement(nil, pcr.SHA1, PadSHA1))
	require.Equal(t, ones[:48], e.AppendMeasurement(nil, pcr.SHA384, PadNone))
	require.Equal(t, append(bytes.Clone(ones[:20]), make([]byte, 12)...), e.AppendMeasurement(nil, pcr.SHA256, PadSHA1))
	require.Equal(t, ones[:48], e.AppendMeasurement(nil, pcr.SHA384, PadMissing))
	e.Digest = bytes.Repeat([]byte{1}, 20)
	require.Equal(t, append(bytes.Clone(e.Digest), make([]byte, 28)...), e.AppendMeasurement(nil, pcr.SHA384, PadMissing))
}

// A list file of another algorithm has digests of that size.
func TestListOfAnotherAlgorithm(t *testing.T) {
	data := fields(little, dng, path)
	d := sha256.Sum256(data)
	e := all(t, record(little, 10, "ima-ng", d[:], data), Config{Hash: pcr.SHA256})[0]
	require.True(t, e.Intact())
	require.Equal(t, d[:], e.AppendMeasurement(nil, pcr.SHA256, PadNone))
	s := sha1.Sum(data)
	require.Equal(t, s[:], e.AppendMeasurement(nil, pcr.SHA1, PadNone))
	_, err := NewReader(nil, Config{Hash: 0x0012}).Next()
	require.Error(t, err)
}

// growing delivers more after it was at its end, as the list of a running
// machine does.
type growing struct{ parts [][]byte }

func (g *growing) Read(b []byte) (int, error) {
	if len(g.parts) == 0 {
		return 0, io.EOF
	}
	if len(g.parts[0]) == 0 {
		g.parts = g.parts[1:]
		return 0, io.EOF
	}
	n := copy(b, g.parts[0])
	g.parts[0] = g.parts[0][n:]
	return n, nil
}

func TestGrowingLog(t *testing.T) {
	one := record(little, 10, "ima-ng", nil, fields(little, dng, path))
	r := NewReader(&growing{[][]byte{bytes.Repeat(one, 3), nil, bytes.Repeat(one, 2)}}, Config{})
	for i := range 3 {
		e, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, i, e.Index)
	}
	_, err := r.Next()
	require.Equal(t, io.EOF, err)
	e, err := r.Next()
	if err == io.EOF {
		e, err = r.Next()
	}
	require.NoError(t, err)
	require.Equal(t, 3, e.Index)
	require.EqualValues(t, 3*len(one), e.Offset)
}

func TestTruncated(t *testing.T) {
	one := record(little, 10, "ima-ng", nil, fields(little, dng, path))
	two := record(little, 10, "ima", make([]byte, 20), append(make([]byte, 20), fields(little, "/x")...))
	log := append(bytes.Clone(one), two...)
	for n := range len(log) {
		r := NewReader(bytes.NewReader(log[:n]), Config{})
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if n == 0 || n == len(one) {
			require.Equal(t, io.EOF, err, n)
		} else {
			require.ErrorIs(t, err, ErrTruncated, n)
			_, again := r.Next()
			require.Equal(t, err, again, "the error is final")
		}
	}
}

func TestHostileLengths(t *testing.T) {
	huge := []byte{0xFF, 0xFF, 0xFF, 0xFF}
	head := append([]byte{10, 0, 0, 0}, make([]byte, 20)...)
	named := func(name string) []byte {
		return append(append(little.AppendUint32(bytes.Clone(head), uint32(len(name))), name...), []byte{}...)
	}
	for name, c := range map[string]struct {
		log  []byte
		want error
	}{
		"4 GiB template name":     {append(bytes.Clone(head), huge...), ErrName},
		"empty template name":     {append(bytes.Clone(head), 0, 0, 0, 0), ErrName},
		"4 GiB template data":     {append(named("ima-ng"), huge...), ErrData},
		"4 GiB file name":         {append(append(named("ima"), make([]byte, 20)...), huge...), ErrData},
		"data claimed but absent": {append(named("ima-ng"), 0, 0, 0x40, 0), ErrTruncated},
		"PCR":                     {append([]byte{24, 0, 0, 0}, named("x")[4:]...), ErrPCR},
	} {
		t.Run(name, func(t *testing.T) {
			log := append(c.log, make([]byte, 8)...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := NewReader(bytes.NewReader(log), Config{Order: little}).Next()
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, c.want)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*windowSize))
		})
	}
	// Fields that claim more than there is, and more fields than there may be.
	e := all(t, record(little, 10, "ima-ng", nil, append(fields(little, dng), huge...)), Config{})[0]
	require.False(t, e.Fields().Known)
	e = all(t, record(little, 10, "many", nil, make([]byte, 4000)), Config{})[0]
	require.Len(t, e.Fields().All, MaxFields)
}

func FuzzReader(f *testing.F) {
	for _, o := range []binary.AppendByteOrder{little, big} {
		for _, s := range samples {
			f.Add(record(o, 10, s.template, nil, fields(o, s.fields...)))
		}
	}
	f.Add(record(little, 10, "ima", make([]byte, 20), append(make([]byte, 20), fields(little, "/x")...)))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := NewReader(bytes.NewReader(log), Config{})
		b := pcr.NewBank(pcr.SHA256)
		var m []byte
		for {
			e, err := r.Next()
			if err != nil {
				return
			}
			if cap(r.buf) > 2*len(log)+windowSize {
				t.Fatalf("window of %d octets for a log of %d", cap(r.buf), len(log))
			}
			fs := e.Fields()
			_ = fs.PolicyURI(e.Template)
			e.Intact()
			m = e.AppendMeasurement(m[:0], pcr.SHA256, Padding(len(log)%3))
			if !b.Extend(e.PCR, m) {
				t.Fatal("an entry that the reader accepts extends a PCR")
			}
		}
	})
}

// synthetic is a log of n ima-ng entries, made as it is read.
type synthetic struct {
	n    int
	rest []byte
	rnd  *rand.ChaCha8
}

func (s *synthetic) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if s.n == 0 {
			return 0, io.EOF
		}
		s.n--
		var d [32]byte
		_, _ = s.rnd.Read(d[:])
		s.rest = record(little, 10, "ima-ng", d[:20], fields(little, "sha256:\x00"+string(d[:]), "/usr/lib/x86_64-linux-gnu/libexample.so.1\x00"))
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// A log of a million entries is read in the memory of its window.
func TestMillionEntriesInBoundedMemory(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	r := NewReader(&synthetic{n: n, rnd: rand.NewChaCha8([32]byte{})}, Config{})
	b := pcr.NewBank(pcr.SHA256)
	var m []byte
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		m = e.AppendMeasurement(m[:0], pcr.SHA256, PadNone)
		b.Extend(e.PCR, m)
	}
	require.Equal(t, n, r.Count())
	require.LessOrEqual(t, cap(r.buf), 2*windowSize)
}

func BenchmarkParseAndReplay(b *testing.B) {
	log, err := io.ReadAll(&synthetic{n: 1_000_000, rnd: rand.NewChaCha8([32]byte{})})
	require.NoError(b, err)
	for _, h := range []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384} {
		b.Run(h.Crypto().String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(log)))
			entries, window := 0, 0
			for b.Loop() {
				r := NewReader(bytes.NewReader(log), Config{})
				bank := pcr.NewBank(h)
				var m [pcr.MaxSize]byte
				for {
					e, err := r.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					bank.Extend(e.PCR, e.AppendMeasurement(m[:0], h, PadNone))
				}
				entries += r.Count()
				window = cap(r.buf)
			}
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(window), "window-B")
		})
	}
}
