package imv

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// bench plays an IMC against a Verifier.
type bench struct {
	t *testing.T
	v *Verifier
}

// zeros are message IDs that no test looks at.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func newBench(t *testing.T, p Policy) *bench {
	t.Helper()
	v, err := New(Config{Policy: p, Rand: zeros{}})
	require.NoError(t, err)
	return &bench{t: t, v: v}
}

func body(t testing.TB, as ...patnc.Attribute) []byte {
	b, err := patnc.Message{ID: 7, Attributes: as}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func (b *bench) fromOS(imc uint16, as ...patnc.Attribute) {
	b.v.Receive(Message{Vendor: patnc.VendorIETF, Subtype: 1, Collector: imc, Validator: AnyID, Body: body(b.t, as...)})
}

func (b *bench) fromPTS(imc uint16, as ...patnc.Attribute) {
	b.v.Receive(Message{Vendor: patnc.VendorTCG, Subtype: 1, Collector: imc, Validator: 1, Body: body(b.t, as...)})
}

// end ends the batch and returns the attributes sent, with their addresses.
func (b *bench) end() (addressed []Message, as []patnc.Attribute) {
	b.t.Helper()
	for _, m := range b.v.BatchEnding() {
		msg, err := patnc.Parse(m.Body, pts.Attributes)
		require.NoError(b.t, err)
		addressed = append(addressed, m)
		as = append(as, msg.Attributes...)
	}
	return addressed, as
}

func values[T patnc.Value](as []patnc.Attribute) (vs []T) {
	for _, a := range as {
		if v, ok := a.Value.(T); ok {
			vs = append(vs, v)
		}
	}
	return vs
}

var platform = []patnc.Attribute{
	patnc.Skip(patnc.ProductInformation{Vendor: patnc.PENDebian, Name: "Debian"}),
	patnc.Skip(patnc.StringVersion{Version: "12.4 x86_64"}),
	patnc.Skip(patnc.DeviceID{ID: "1083"}),
}

// agree brings the bench to the point where measurements are asked for.
func (b *bench) agree() []patnc.Attribute {
	b.t.Helper()
	b.fromOS(3, platform...)
	b.end()
	b.fromPTS(3, patnc.Skip(patnc.ContractResponse{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 64}}),
		patnc.Skip(pts.ProtocolCapabilities{Capabilities: pts.CapVerify}),
		patnc.Skip(pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA256}))
	_, as := b.end()
	return as
}

func digest(s string) []byte { d := sha256.Sum256([]byte(s)); return d[:] }

func TestFirstRequestsAreExclusive(t *testing.T) {
	b := newBench(t, Policy{})
	b.fromOS(3, platform...)
	sent, as := b.end()
	require.Len(t, sent, 1, "nothing of the platform is asked for")
	require.True(t, sent[0].Exclusive)
	require.EqualValues(t, 3, sent[0].Collector)
	require.EqualValues(t, 1, sent[0].Validator)
	require.EqualValues(t, patnc.VendorTCG, sent[0].Vendor)
	for _, a := range as {
		require.True(t, a.NoSkip)
	}
	require.Equal(t, []patnc.ContractRequest{{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 0xffba}}}, values[patnc.ContractRequest](as))
	require.EqualValues(t, 0x0e, values[pts.RequestProtocolCapabilities](as)[0].Capabilities)
	require.Equal(t, pts.SHA1|pts.SHA256, values[pts.MeasurementAlgorithm](as)[0].Algorithms)
}

func TestPlatformIsAskedForWhereItDidNotCome(t *testing.T) {
	b := newBench(t, Policy{NoSegmentation: true})
	b.fromOS(3, platform[0])
	sent, as := b.end()
	require.Len(t, sent, 2)
	require.False(t, sent[0].Exclusive)
	require.Equal(t, []patnc.Type{patnc.TypeStringVersion, patnc.TypeITADeviceID}, values[patnc.AttributeRequest](as)[0].Types)
	require.Empty(t, values[patnc.ContractRequest](as))
}

func TestOtherIMCAnnouncedThePlatform(t *testing.T) {
	b := newBench(t, Policy{})
	b.fromOS(1, platform...) // an OS IMC without PTS
	b.end()
	sent, _ := b.end() // nobody answered: ask all
	require.Len(t, sent, 1)
	require.False(t, sent[0].Exclusive)
	require.EqualValues(t, AnyID, sent[0].Collector)
	b.fromPTS(2, patnc.Skip(pts.ProtocolCapabilities{}), patnc.Skip(pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA1}))
	b.v.cfg.Policy.Files = map[string]string{"/x": ""}
	sent, _ = b.end()
	require.True(t, sent[0].Exclusive)
	require.EqualValues(t, 2, sent[0].Collector)
	require.Equal(t, "sha1", b.v.Report().Hash)
}

func TestSilenceIsDenied(t *testing.T) {
	b := newBench(t, Policy{})
	for range 2 {
		b.end()
	}
	r, ok := b.v.Decision()
	require.True(t, ok)
	require.Equal(t, Deny, r.Recommendation)
	require.Equal(t, patnc.AssessmentUnknown, r.Assessment)
	b = newBench(t, Policy{OnSilence: Isolate})
	b.end()
	b.end()
	r, _ = b.v.Decision()
	require.Equal(t, Isolate, r.Recommendation)
}

func TestMeasurementsAreCompared(t *testing.T) {
	p := Policy{
		Files: map[string]string{
			"/etc/good":   strings.Repeat("00", 20) + " " + hex.EncodeToString(digest("good")),
			"/etc/bad":    hex.EncodeToString(digest("good")),
			"/etc/free":   "",
			"/etc/gone":   "",
			"/etc/sha384": strings.Repeat("00", 48),
		},
		Directories: map[string]map[string]string{"/bin/": {"sh": hex.EncodeToString(digest("sh")), "lost": hex.EncodeToString(digest("lost"))}},
		Metadata:    []string{"/etc/good", "/bin/", "/etc/gone"},
		Strict:      true,
	}
	b := newBench(t, p)
	as := b.agree()
	files := values[pts.RequestFileMeasurement](as)
	require.Len(t, files, 6)
	var out []patnc.Attribute
	for _, f := range files {
		one := func(name, content string) patnc.Attribute {
			return patnc.NoSkip(pts.FileMeasurement{RequestID: f.RequestID, Files: []pts.MeasuredFile{{Name: name, Measurement: digest(content)}}})
		}
		switch f.Path {
		case "/etc/gone":
			info, err := f.AppendValue(nil)
			require.NoError(t, err)
			out = append(out, patnc.Skip(patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(pts.ErrorFileNotFound), Info: info}))
		case "/bin/":
			require.True(t, f.Directory)
			out = append(out, patnc.NoSkip(pts.FileMeasurement{RequestID: f.RequestID, Files: []pts.MeasuredFile{
				{Name: "sh", Measurement: digest("sh")}, {Name: "../evil", Measurement: digest("evil")}}}))
		case "/etc/good":
			out = append(out, one("good", "good"))
		default:
			out = append(out, one("x", "something else"))
		}
	}
	meta := values[pts.RequestFileMetadata](as)
	require.Len(t, meta, 3)
	require.True(t, meta[1].Directory)
	info, err := meta[2].AppendValue(nil)
	require.NoError(t, err)
	at := time.Unix(1000, 0).UTC()
	out = append(out,
		patnc.NoSkip(pts.FileMeasurement{RequestID: 9999}),
		patnc.NoSkip(pts.UnixFileMetadata{Files: []pts.FileMetadata{{Name: "good", Type: pts.FileRegular, Size: 4, Modified: at}}}),
		patnc.NoSkip(pts.UnixFileMetadata{Files: []pts.FileMetadata{{Name: "sh", Type: pts.FileSymlink}}}),
		patnc.Skip(patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(pts.ErrorFileNotFound), Info: info}))
	b.fromPTS(3, out...)
	_, as = b.end()
	r := b.v.Report()
	require.Equal(t, Isolate, r.Recommendation)
	got := map[string]Result{}
	for _, m := range r.Files {
		got[m.Path] = m.Result
	}
	require.Equal(t, map[string]Result{
		"/etc/good": Match, "/etc/bad": Mismatch, "/etc/free": Unchecked, "/etc/gone": Missing, "/etc/sha384": Unchecked,
		"/bin/sh": Match, "/bin/evil": Unknown, "/bin/lost": Missing,
	}, got)
	require.Len(t, r.Findings, 6, "%v", r.Findings)
	require.Equal(t, "/etc/good", r.Metadata[0].Path)
	require.Equal(t, at, r.Metadata[0].Modified)
	require.Equal(t, "/bin/sh", r.Metadata[1].Path)
	require.Equal(t, patnc.NonCompliantMinor, values[patnc.AssessmentResult](as)[0].Result)
	res, ok := b.v.Decision()
	require.True(t, ok)
	require.Equal(t, Isolate, res.Recommendation)
	require.Contains(t, res.Reason, "/etc/bad")
}

func TestUnansweredMeasurementsAreMissing(t *testing.T) {
	b := newBench(t, Policy{Files: map[string]string{"/a": ""}, Metadata: []string{"/b"}, OnMismatch: Deny})
	require.Len(t, b.agree(), 2)
	b.end()
	_, ok := b.v.Decision()
	require.False(t, ok, "one idle round is granted")
	b.end()
	r, ok := b.v.Decision()
	require.True(t, ok)
	require.Equal(t, Deny, r.Recommendation)
	require.Equal(t, patnc.NonCompliantMajor, r.Assessment)
	require.Len(t, b.v.Report().Findings, 2)
}

func TestAlgorithmThatWasNotOffered(t *testing.T) {
	b := newBench(t, Policy{OnlyHash: true})
	b.end()
	b.fromPTS(3, patnc.Skip(pts.ProtocolCapabilities{}), patnc.Skip(pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA1}))
	b.end()
	r, ok := b.v.Decision()
	require.True(t, ok)
	require.Equal(t, Isolate, r.Recommendation)
}

func TestSegments(t *testing.T) {
	attr, err := patnc.NoSkip(pts.FileMeasurement{RequestID: 1, Files: []pts.MeasuredFile{{Name: "a", Measurement: digest("a")}}}).AppendBinary(nil)
	require.NoError(t, err)
	seg := func(start, more bool, id uint32, data []byte) patnc.Attribute {
		return patnc.Skip(patnc.SegmentEnvelope{Start: start, More: more, BaseMessageID: id, Data: data})
	}
	b := newBench(t, Policy{Files: map[string]string{"/a": hex.EncodeToString(digest("a"))}})
	b.agree()
	b.fromPTS(3, seg(true, true, 1, attr[:20]))
	_, as := b.end()
	require.Equal(t, []patnc.NextSegment{{BaseMessageID: 1}}, values[patnc.NextSegment](as))
	b.fromPTS(3, seg(false, true, 2, attr), seg(true, true, 1, attr)) // out of order: ignored
	_, as = b.end()
	require.Empty(t, as)
	b.fromPTS(3, seg(false, false, 1, attr[20:]))
	b.end()
	r, ok := b.v.Decision()
	require.True(t, ok)
	require.Equal(t, Allow, r.Recommendation, "%v", b.v.Report().Findings)

	for name, bad := range map[string][]patnc.Attribute{
		"short header": {seg(true, true, 1, attr[:11])},
		"too short":    {seg(true, false, 1, attr[:20])},
		"too long":     {seg(true, true, 1, append(append([]byte(nil), attr...), 0))},
		"huge":         {seg(true, true, 1, []byte{0x80, 0, 0x55, 0x97, 0, 0xd0, 0, 0, 0xff, 0xff, 0xff, 0xff})},
		"malformed":    {seg(true, false, 1, append(append([]byte(nil), attr[:8]...), 0, 0, 0, 12))},
	} {
		b := newBench(t, Policy{Files: map[string]string{"/a": ""}})
		b.agree()
		b.fromPTS(3, bad...)
		require.Len(t, b.v.Report().Findings, 1, name)
	}
	b = newBench(t, Policy{NoSegmentation: true})
	b.agree()
	b.fromPTS(3, seg(true, true, 1, attr))
	require.Empty(t, b.v.segments.open)
}

func TestReasonIsCutAndForced(t *testing.T) {
	b := newBench(t, Policy{Force: Allow, Files: map[string]string{"/a": ""}})
	b.agree()
	b.end()
	b.end()
	r, _ := b.v.Decision()
	require.Equal(t, Allow, r.Recommendation)
	require.Empty(t, r.Reason)

	b = newBench(t, Policy{})
	for i := range 100 {
		b.v.finding(fmt.Sprintf("/päth/%d: bad\x00", i))
	}
	text := b.v.reason()
	require.LessOrEqual(t, len(text), maxReason+8)
	require.NotContains(t, text, "\x00")
	require.True(t, strings.HasSuffix(text, "…"))
}

func TestRequestsAreSplitOverMessages(t *testing.T) {
	files := map[string]string{}
	for i := range 500 {
		files[fmt.Sprintf("/etc/%03d", i)] = ""
	}
	v, err := New(Config{Policy: Policy{Files: files}, MaxMessage: 1000})
	require.NoError(t, err)
	b := &bench{t: t, v: v}
	b.fromOS(3, platform...)
	b.end()
	b.fromPTS(3, patnc.Skip(pts.ProtocolCapabilities{}), patnc.Skip(pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA1}))
	sent, as := b.end()
	require.Len(t, as, 500)
	require.Greater(t, len(sent), 10)
	for _, m := range sent {
		require.LessOrEqual(t, len(m.Body), 1000)
	}
}

// A hostile client must not bring the verifier down.
func FuzzReceive(f *testing.F) {
	attr, _ := patnc.NoSkip(pts.FileMeasurement{RequestID: 1, Files: []pts.MeasuredFile{{Name: "a", Measurement: digest("a")}}}).AppendBinary(nil)
	for _, a := range []patnc.Attribute{
		patnc.NoSkip(pts.FileMeasurement{RequestID: 1, Files: []pts.MeasuredFile{{Name: "a", Measurement: digest("a")}}}),
		patnc.Skip(patnc.SegmentEnvelope{Start: true, More: true, BaseMessageID: 1, Data: attr[:30]}),
		patnc.Skip(patnc.Error{Vendor: patnc.VendorTCG, Code: 3, Info: []byte("\x00\x00\x00\x01\x00\x00\x00//a")}),
		patnc.Skip(pts.UnixFileMetadata{Files: []pts.FileMetadata{{Name: "a"}}}),
	} {
		f.Add(body(f, a), true)
		f.Add(body(f, a), false)
	}
	f.Fuzz(func(t *testing.T, message []byte, agreed bool) {
		b := newBench(t, Policy{Files: map[string]string{"/a": ""}, Directories: map[string]map[string]string{"/d": {"x": ""}}, Metadata: []string{"/a"}})
		if agreed {
			b.agree()
		}
		for range 3 {
			b.v.Receive(Message{Vendor: patnc.VendorTCG, Subtype: 1, Collector: 3, Body: message})
			b.v.BatchEnding()
		}
		b.v.Decision()
		b.v.Report()
	})
}

// What is not decided is enforced as a denial (RFC 5793 section 4.7).
func TestRecommendationAccess(t *testing.T) {
	for r, code := range map[Recommendation]uint16{Allow: 1, Deny: 2, Isolate: 3, None: 2} {
		require.Equal(t, code, r.Access(), "%s", r)
	}
}
