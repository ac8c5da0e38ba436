package imc

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// panicMeasurer fails as no Measurer should, or waits.
type panicMeasurer struct {
	fakeMeasurer
	entered, release chan struct{}
}

func (p panicMeasurer) Measure(ctx context.Context, path string, d bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	switch path {
	case "/panic":
		panic("as the test wants")
	case "/wait":
		close(p.entered)
		<-p.release
	}
	return p.fakeMeasurer.Measure(ctx, path, d, alg)
}

func TestPanicClosesOneConnection(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Measurer: panicMeasurer{}}, h)
	require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 5, ConnectionCreate))
	boom := request(t, patnc.NoSkip(pts.RequestFileMeasurement{Path: "/panic"}))
	fine := request(t, patnc.NoSkip(pts.RequestFileMeasurement{Path: "/a"}))
	require.Panics(t, func() { a.ReceiveMessageLong(2, 1, 0, boom, 0x005597, 1, 1, AnyIMC) }, "the border recovers it")
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, fine, 0x005597, 1, 1, AnyIMC), "closed, and no dead lock")
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 5, 0, fine, 0x005597, 1, 1, AnyIMC), "the other goes on")
	require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionDelete))
	require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionCreate))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, fine, 0x005597, 1, 1, AnyIMC), "a new one under its ID")
}

// A second call for a connection that is being worked on is refused, and may
// end the connection or everything.
func TestBusyConnection(t *testing.T) {
	for _, end := range []string{"delete", "terminate"} {
		m := panicMeasurer{entered: make(chan struct{}), release: make(chan struct{})}
		h := &fakeHost{}
		a := start(t, Config{Measurer: m}, h)
		in := request(t, patnc.NoSkip(pts.RequestFileMeasurement{Path: "/wait"}))
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC)
		}()
		<-m.entered
		require.Equal(t, ResultIllegalOperation, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
		require.Equal(t, ResultIllegalOperation, a.NotifyConnectionChange(2, 1, ConnectionAccessAllowed))
		require.Equal(t, ResultIllegalOperation, a.BeginHandshake(2, 1))
		if end == "delete" {
			require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionDelete))
		} else {
			require.Equal(t, ResultSuccess, a.Terminate(2))
		}
		close(m.release)
		wg.Wait()
		require.Empty(t, h.take(), "nothing is sent on a connection that is gone")
	}
}

func TestRetry(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Settings: settingsMap{"plugins.imc-attestation.retry": "yes"}}, h)
	a.NotifyConnectionChange(2, 1, ConnectionAccessAllowed)
	require.Empty(t, h.retries)
	a.NotifyConnectionChange(2, 1, ConnectionAccessIsolated)
	a.NotifyConnectionChange(2, 1, ConnectionHandshake)
	a.NotifyConnectionChange(2, 1, ConnectionAccessNone)
	require.Equal(t, []RetryReason{RetryRemediationComplete}, h.retries, "once a connection")

	h = &fakeHost{}
	a = start(t, Config{}, h)
	a.NotifyConnectionChange(2, 1, ConnectionAccessNone)
	require.Empty(t, h.retries, "only where it is set")
}

// With strongSwan's imc-os or imc-scanner in the same host a verifier gets one
// answer of each kind.
func TestBesideStrongSwansIMCs(t *testing.T) {
	h := &fakeHost{}
	other := ""
	a := start(t, Config{Platform: fakePlatform{}, SiblingLoaded: func(name string) bool { return name == other }}, h)
	numeric := request(t, patnc.Skip(patnc.AttributeRequest{Types: []patnc.Type{patnc.TypeNumericVersion}}))
	ports := request(t, patnc.Skip(patnc.AttributeRequest{Types: []patnc.Type{patnc.TypePortFilter, patnc.TypeNumericVersion}}))
	answers := func() [3]int {
		a.BeginHandshake(2, 1)
		pushed := len(h.take())
		a.ReceiveMessageLong(2, 1, 0, numeric, 0, 1, 1, AnyIMC)
		os := len(h.take())
		a.ReceiveMessageLong(2, 1, 0, ports, 0, 5, 1, AnyIMC)
		s := h.take()
		for _, m := range s {
			require.Equal(t, []patnc.Attribute{patnc.Skip(patnc.PortFilter{Ports: []patnc.Port{{Protocol: 6, Port: 22}}})}, m.message.Attributes)
		}
		return [3]int{pushed, os, len(s)}
	}
	require.Equal(t, [3]int{1, 1, 1}, answers())
	other = "imc-os"
	require.Equal(t, [3]int{0, 0, 1}, answers())
	other = "imc-scanner"
	require.Equal(t, [3]int{1, 1, 0}, answers())
}

// userHost shows texts.
type userHost struct {
	*fakeHost
	texts []string
}

func (u *userHost) UserMessage(_ uint32, text string) bool {
	u.texts = append(u.texts, text)
	return true
}

func TestUserReadsTheirLanguage(t *testing.T) {
	in := request(t, patnc.Skip(patnc.AssessmentResult{Result: patnc.NonCompliantMinor}),
		patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationString, String: "Install the update.", Language: "en"}),
		patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationString, String: "Größe \x1b[2Jprüfen.", Language: "de"}),
		patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationString, String: "更新してください", Language: "ja"}),
		patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationURI, URI: "https://help.example/"}))
	for language, want := range map[string]string{
		"de-CH": "Dieser Rechner erfüllt nicht alle Anforderungen des Netzes.\nGröße  [2Jprüfen.\nhttps://help.example/",
		"ja":    "This computer does not meet all requirements of the network.\n更新してください\nhttps://help.example/",
		"fr":    "Cet ordinateur ne remplit pas toutes les conditions du réseau.\nInstall the update.\nhttps://help.example/",
		"":      "This computer does not meet all requirements of the network.\nInstall the update.\nhttps://help.example/",
	} {
		h := &userHost{fakeHost: &fakeHost{t: t, size: 65490}}
		a := New(Config{Language: language})
		_, r := a.Initialize(2, 1, 1)
		require.Equal(t, ResultSuccess, r)
		require.Equal(t, ResultSuccess, a.ProvideHost(2, h))
		require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionCreate))
		if language != "" {
			require.Equal(t, []string{language + "\x00"}, h.set, "the host is told")
		} else {
			require.Empty(t, h.set)
		}
		require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
		require.Equal(t, []string{want}, h.texts, language)
		require.Empty(t, h.take())
	}
	require.Equal(t, sentences["en"][4], sentence(99, "xx"))
}

// The Agent requests a contract, and answers a request that came in segments.
func TestSegmentsAreReceived(t *testing.T) {
	var lines bytes.Buffer
	h := &fakeHost{size: 2000}
	a := start(t, Config{Measurer: fakeMeasurer{}, Logger: log.NewWriter(&lines, slog.LevelDebug), Settings: settingsMap{"plugins.imc-attestation.segmentation": "yes"}}, h)
	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	s := h.take()
	require.Len(t, s, 1)
	require.Equal(t, TypePTS, s[0].messageType)
	require.Equal(t, patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.MaxReassembly, MaxSegment: 2000 - 24}}, s[0].message.Attributes[0].Value)

	path := "/" + strings.Repeat("a", 300)
	base, err := patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 9, Path: path}).AppendBinary(nil)
	require.NoError(t, err)
	receive := func(v patnc.Value) []sent {
		require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, request(t, patnc.Skip(v)), 0x005597, 1, 1, AnyIMC))
		return h.take()
	}
	require.Empty(t, receive(patnc.ContractResponse{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 100}}))
	for i := 0; i < len(base); i += 100 {
		end := min(i+100, len(base))
		s := receive(patnc.SegmentEnvelope{More: end < len(base), Start: i == 0, BaseMessageID: 1, Data: base[i:end]})
		require.Len(t, s, 1)
		if end < len(base) {
			require.Equal(t, []patnc.Attribute{patnc.Skip(patnc.NextSegment{BaseMessageID: 1})}, s[0].message.Attributes)
		} else {
			require.EqualValues(t, 9, s[0].message.Attributes[0].Value.(pts.FileMeasurement).RequestID)
		}
	}

	// Malformed: answered at the offset inside the base attribute, rest cancelled.
	bad := append([]byte(nil), base...)
	bad[8], bad[9] = 0xFF, 0xFF
	s = receive(patnc.SegmentEnvelope{More: true, Start: true, BaseMessageID: 2, Data: bad[:100]})
	require.Len(t, s, 1)
	e := s[0].message.Attributes[0].Value.(patnc.Error)
	require.Equal(t, append([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 2}, 0, 0, 0, 8), e.Info)
	require.Equal(t, patnc.Skip(patnc.NextSegment{Cancel: true, BaseMessageID: 2}), s[0].message.Attributes[1])

	// A base message that is a segment itself is not unpacked again.
	inner, err := patnc.Skip(patnc.SegmentEnvelope{Start: true, BaseMessageID: 7, Data: base}).AppendBinary(nil)
	require.NoError(t, err)
	require.Empty(t, receive(patnc.SegmentEnvelope{Start: true, BaseMessageID: 3, Data: inner}))
	require.Contains(t, lines.String(), "is not processed")

	// Without the setting nothing is requested and no segment taken.
	h = &fakeHost{}
	a = start(t, Config{Measurer: fakeMeasurer{}}, h)
	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	require.Empty(t, receive(patnc.SegmentEnvelope{Start: true, BaseMessageID: 1, Data: base}))
}

// A host that keeps one message a batch, as wpa_supplicant: whatever is asked for
// leaves in one, of a size that it carries, where the IMV takes segments.
func TestOneMessageIsNotTooLarge(t *testing.T) {
	h := &fakeHost{lacks: noLong}
	a := start(t, Config{Measurer: fakeMeasurer{big: 4000}}, h)
	// What strongSwan's IMV asks for in hostapd, which tells no size: 0 - 24.
	contract := patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 0xFFFFFFE8}})
	measure := patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 1, Path: "/a"})
	caps := patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e})
	require.Equal(t, ResultSuccess, a.ReceiveMessage(2, 1, request(t, contract, measure, caps, measure), 0x00559701))
	r := patnc.NewReassembler(pts.Attributes)
	measured, turns := 0, 0
	for ; turns < 50; turns++ {
		s := h.take()
		require.Len(t, s, 1, "one message a batch")
		require.LessOrEqual(t, s[0].size, oneMessageSize)
		var requests []patnc.Attribute
		for _, at := range s[0].message.Attributes {
			switch v := at.Value.(type) {
			case patnc.ContractResponse:
				require.Equal(t, patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: oneMessageSize - patnc.SegmentOverhead}, v.Contract)
			case patnc.SegmentEnvelope:
				whole, next, err := r.Add(v)
				require.NoError(t, err)
				if whole != nil {
					require.Len(t, whole.Value.(pts.FileMeasurement).Files, 4001)
					measured++
				}
				if next != nil {
					requests = append(requests, patnc.NoSkip(*next))
				}
			}
		}
		if len(requests) == 0 {
			break
		}
		require.Equal(t, ResultSuccess, a.ReceiveMessage(2, 1, request(t, requests...), 0x00559701))
	}
	require.Equal(t, 2, measured)
	t.Logf("2 measurements of 4,001 files in %d batches", turns+1)
}

// What verifiers leave behind in segments is bounded for all their contracts
// together: a gateway speaks for as many IMVs as it likes.
func TestPendingSegmentsAreBounded(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Measurer: fakeMeasurer{big: 40000}}, h)
	contract := patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 100}})
	measure := patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 1, Path: "/a"})
	var last []sent
	for imv := range uint32(10) {
		in := request(t, contract, measure, measure, measure, measure, measure, measure)
		require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, imv, AnyIMC))
		last = h.take()
	}
	a.mu.Lock()
	c := a.loaded.conns[1]
	a.mu.Unlock()
	pending := 0
	for _, s := range c.contracts {
		pending += s.Pending()
	}
	require.Len(t, c.contracts, 10)
	require.LessOrEqual(t, pending, maxPending)
	require.Greater(t, pending, maxPending/2, "no more is dropped than must be")
	// The newest goes on.
	as := last[len(last)-1].message.Attributes
	id := as[len(as)-1].Value.(patnc.SegmentEnvelope).BaseMessageID
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, request(t, patnc.NoSkip(patnc.NextSegment{BaseMessageID: id})), 0x005597, 1, 9, AnyIMC))
	require.Len(t, h.take(), 1)
}
