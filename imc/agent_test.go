package imc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

type sent struct {
	imc, connection, flags uint32
	messageType            MessageType
	imv                    uint32
	message                patnc.Message
	size                   int
	long                   bool
}

// fakeHost is a TNC client that records what an IMC does.
type fakeHost struct {
	t       *testing.T
	lacks   map[Function]bool
	size    uint32
	answers Result // of SendMessage*

	mu       sync.Mutex
	reported []MessageType
	asked    []AttributeID
	sent     []sent
	set      []string // values of SetAttribute
	retries  []RetryReason
}

func (h *fakeHost) Has(f Function) bool { return !h.lacks[f] }

func (h *fakeHost) ReportMessageTypes(_ uint32, types []uint32) Result {
	require.False(h.t, h.lacks[FuncReportMessageTypes])
	h.reported = nil
	for _, t := range types {
		h.reported = append(h.reported, TypeOfShort(t))
	}
	return ResultSuccess
}

func (h *fakeHost) ReportMessageTypesLong(_ uint32, types []MessageType) Result {
	require.False(h.t, h.lacks[FuncReportMessageTypesLong])
	h.reported = types
	return ResultSuccess
}

func (h *fakeHost) RequestHandshakeRetry(_, _ uint32, r RetryReason) Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retries = append(h.retries, r)
	return ResultSuccess
}

func (h *fakeHost) record(s sent, b []byte) Result {
	m, err := patnc.Parse(b, pts.Attributes)
	require.NoError(h.t, err)
	s.message, s.size = m, len(b)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, s)
	return h.answers
}

func (h *fakeHost) SendMessage(imc, connection uint32, b []byte, t uint32) Result {
	require.False(h.t, h.lacks[FuncSendMessage])
	return h.record(sent{imc: imc, connection: connection, messageType: TypeOfShort(t)}, b)
}

func (h *fakeHost) SendMessageLong(imc, connection, flags uint32, b []byte, t MessageType, imv uint32) Result {
	require.False(h.t, h.lacks[FuncSendMessageLong])
	return h.record(sent{imc: imc, connection: connection, flags: flags, messageType: t, imv: imv, long: true}, b)
}

func (h *fakeHost) GetAttribute(_, _ uint32, id AttributeID, size int) ([]byte, Result) {
	require.False(h.t, h.lacks[FuncGetAttribute])
	h.mu.Lock()
	h.asked = append(h.asked, id)
	h.mu.Unlock()
	switch id {
	case AttributeHasLongTypes, AttributeHasExclusive:
		return []byte{1}, ResultSuccess
	case AttributeHasSOH:
		return []byte{0}, ResultSuccess
	case AttributeIFTNCCSProtocol:
		return []byte("IF-TNCCS\x00"), ResultSuccess
	case AttributeIFTNCCSVersion, AttributeIFTVersion:
		return []byte("2.0\x00"), ResultSuccess
	case AttributeIFTProtocol:
		return []byte("IF-T for Tunneled EAP\x00"), ResultSuccess
	case AttributeMaxMessageSize:
		return binary.BigEndian.AppendUint32(nil, h.size), ResultSuccess
	}
	return nil, ResultInvalidParameter
}

func (h *fakeHost) SetAttribute(_, _ uint32, id AttributeID, value []byte) Result {
	require.False(h.t, h.lacks[FuncSetAttribute])
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set = append(h.set, string(value))
	return ResultInvalidParameter // as strongSwan
}

func (h *fakeHost) ReserveAdditionalIMCID(uint32) (uint32, Result) { return 100, ResultSuccess }

func (h *fakeHost) take() []sent {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sent
	h.sent = nil
	return s
}

type fakePlatform struct{}

func (fakePlatform) Attribute(_ context.Context, t patnc.Type) (patnc.Value, error) {
	switch t {
	case patnc.TypeProductInformation:
		return patnc.ProductInformation{Vendor: patnc.PENDebian, Name: "Debian"}, nil
	case patnc.TypeNumericVersion:
		return patnc.NumericVersion{Major: 12, Minor: 4}, nil
	case patnc.TypeInstalledPackages:
		return patnc.InstalledPackages{}, nil
	case patnc.TypePortFilter:
		return patnc.PortFilter{Ports: []patnc.Port{{Protocol: 6, Port: 22}}}, nil
	}
	return nil, errors.New("unknown")
}

func (fakePlatform) Settings(_ context.Context, names []string) (out []patnc.Setting) {
	for _, n := range names {
		if n == "/etc/known" {
			out = append(out, patnc.Setting{Name: n, Value: []byte("v")})
		}
	}
	return out
}

type fakeMeasurer struct{ big int }

func (f fakeMeasurer) Measure(_ context.Context, path string, _ bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	if path == "/secret" {
		return nil, errors.New("permission denied")
	}
	files := []pts.MeasuredFile{{Name: "a", Measurement: make([]byte, alg.Size())}}
	for range f.big {
		files = append(files, files[0])
	}
	return files, nil
}

func (fakeMeasurer) Metadata(context.Context, string, bool) ([]pts.FileMetadata, error) {
	return nil, pts.ErrNotFound
}

func (fakeMeasurer) Symlinks(context.Context, string) ([]patnc.Symlink, error) { return nil, nil }

type settingsMap map[string]string

func (s settingsMap) String(k, d string) string {
	if v, ok := s[k]; ok {
		return v
	}
	return d
}
func (s settingsMap) Bool(k string, d bool) bool {
	return s.String(k, map[bool]string{true: "yes"}[d]) == "yes"
}
func (settingsMap) Int(_ string, d int) int { return d }

func request(t *testing.T, as ...patnc.Attribute) []byte {
	t.Helper()
	b, err := patnc.Message{ID: 0x01020304, Attributes: as}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// start returns an Agent with one connection in its handshake.
func start(t *testing.T, cfg Config, h *fakeHost) *Agent {
	t.Helper()
	h.t = t
	if h.size == 0 {
		h.size = 65490
	}
	a := New(cfg)
	v, r := a.Initialize(2, 1, 1)
	require.Equal(t, ResultSuccess, r)
	require.Equal(t, Version1, v)
	require.Equal(t, ResultSuccess, a.ProvideHost(2, h))
	require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionCreate))
	require.Equal(t, ResultSuccess, a.NotifyConnectionChange(2, 1, ConnectionHandshake))
	return a
}

var noLong = map[Function]bool{FuncReportMessageTypesLong: true, FuncSendMessageLong: true, FuncGetAttribute: true, FuncSetAttribute: true, FuncReserveAdditionalIMCID: true}

// How the Attestation IMC answers the functions of IF-IMC 1.3.
func TestResultCodes(t *testing.T) {
	a := New(Config{})
	require.Equal(t, ResultNotInitialized, a.NotifyConnectionChange(1, 1, ConnectionCreate))
	require.Equal(t, ResultNotInitialized, a.BeginHandshake(1, 1))
	require.Equal(t, ResultNotInitialized, a.ReceiveMessage(1, 1, nil, 0x00559701))
	require.Equal(t, ResultNotInitialized, a.ReceiveMessageLong(1, 1, 0, nil, 0x005597, 1, 1, 1))
	require.Equal(t, ResultNotInitialized, a.BatchEnding(1, 1))
	require.Equal(t, ResultNotInitialized, a.Terminate(1))
	require.Equal(t, ResultNotInitialized, a.ProvideHost(1, &fakeHost{}))
	_, r := a.Initialize(1, 2, 3)
	require.Equal(t, ResultNoCommonVersion, r)
	_, r = a.Initialize(1, 0, 0)
	require.Equal(t, ResultNoCommonVersion, r)

	for range 2 { // Terminate restores the initial state
		h := &fakeHost{}
		b := start(t, Config{}, h)
		_, r = b.Initialize(2, 1, 1)
		require.Equal(t, ResultAlreadyInitialized, r)
		require.Equal(t, ResultInvalidParameter, b.ProvideHost(2, nil))
		for _, unknown := range []uint32{0, 1, 3, AnyIMC, 0xFFFFFFFF} {
			require.Equal(t, ResultInvalidParameter, b.ProvideHost(unknown, h))
			require.Equal(t, ResultInvalidParameter, b.NotifyConnectionChange(unknown, 1, ConnectionHandshake))
			require.Equal(t, ResultInvalidParameter, b.BeginHandshake(unknown, 1))
			require.Equal(t, ResultInvalidParameter, b.ReceiveMessage(unknown, 1, request(t), 0x00559701))
			require.Equal(t, ResultInvalidParameter, b.ReceiveMessageLong(unknown, 1, 0, request(t), 0x005597, 1, 1, 2))
			require.Equal(t, ResultInvalidParameter, b.BatchEnding(unknown, 1))
			require.Equal(t, ResultInvalidParameter, b.Terminate(unknown))
		}
		require.Equal(t, ResultOther, b.NotifyConnectionChange(2, 1, ConnectionCreate))
		require.Equal(t, ResultFatal, b.NotifyConnectionChange(2, 7, ConnectionHandshake))
		require.Equal(t, ResultFatal, b.NotifyConnectionChange(2, 7, ConnectionDelete))
		require.Equal(t, ResultInvalidParameter, b.NotifyConnectionChange(2, 1, 9))
		require.Equal(t, ResultInvalidParameter, b.NotifyConnectionChange(2, AnyConnection, ConnectionCreate))
		for _, reserved := range []MessageType{{0xFFFFFF, 1}, {0x1000000, 1}, {0x005597, 0xFF}, {0xFFFFFF, 0xFF}} {
			require.Equal(t, ResultInvalidParameter, b.ReceiveMessageLong(2, 1, 0, request(t), reserved.Vendor, reserved.Subtype, 1, 2))
		}
		require.Equal(t, ResultInvalidParameter, b.ReceiveMessage(2, 1, request(t), 0xFFFFFF01))
		require.Equal(t, ResultInvalidParameter, b.ReceiveMessage(2, 1, request(t), 0x005597FF))
		require.Equal(t, ResultFatal, b.BeginHandshake(2, 7))
		require.Equal(t, ResultFatal, b.ReceiveMessage(2, 7, nil, 0x00559701))
		require.Equal(t, ResultFatal, b.ReceiveMessage(2, 1, make([]byte, 7), 0x00559701))
		require.Equal(t, ResultSuccess, b.BeginHandshake(2, 1), "no platform: nothing to send")
		require.Equal(t, ResultSuccess, b.BatchEnding(2, 1))
		require.Equal(t, ResultSuccess, b.NotifyConnectionChange(2, 1, ConnectionAccessNone))
		require.Equal(t, ResultSuccess, b.NotifyConnectionChange(2, 1, ConnectionDelete))
		require.Equal(t, ResultFatal, b.ReceiveMessage(2, 1, request(t), 0x00559701))
		require.Empty(t, h.take())
		require.Equal(t, ResultSuccess, b.Terminate(2))
		require.False(t, b.Initialized())
		_, r = b.Initialize(3, 1, 1)
		require.Equal(t, ResultSuccess, r)
		require.Equal(t, ResultSuccess, b.Terminate(3))
	}
}

func TestHandshakeWithStrongSwan(t *testing.T) {
	var lines bytes.Buffer
	h := &fakeHost{}
	a := start(t, Config{Platform: fakePlatform{}, Measurer: fakeMeasurer{}, Logger: log.NewWriter(&lines, slog.LevelDebug)}, h)
	require.Equal(t, []MessageType{TypePTS, TypeOperatingSystem, TypeFirewall}, h.reported)
	require.Equal(t, []AttributeID{AttributeHasLongTypes, AttributeHasExclusive, AttributeHasSOH, AttributeIFTNCCSProtocol,
		AttributeIFTNCCSVersion, AttributeIFTProtocol, AttributeIFTVersion, AttributeMaxMessageSize}, h.asked)

	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	s := h.take()
	require.Len(t, s, 1)
	require.True(t, s[0].long)
	require.Equal(t, TypeOperatingSystem, s[0].messageType)
	require.Zero(t, s[0].flags)
	require.Equal(t, AnyIMV, s[0].imv)
	require.Len(t, s[0].message.Attributes, 2, "what the platform does not know is left out")

	in := request(t, patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 100000}}),
		patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e}), patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: 0xe000}))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
	s = h.take()
	require.Len(t, s, 1)
	require.Equal(t, sent{imc: 2, connection: 1, flags: FlagExclusive, messageType: TypePTS, imv: 1, long: true, size: s[0].size,
		message: patnc.Message{ID: s[0].message.ID, Attributes: []patnc.Attribute{
			patnc.Skip(patnc.ContractResponse{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 65490 - 24}}),
			patnc.Skip(pts.ProtocolCapabilities{Capabilities: pts.CapVerify}),
			patnc.Skip(pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA384}),
		}}}, s[0])

	in = request(t, patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 7, Path: "/a"}), patnc.NoSkip(pts.RequestFileMetadata{Path: "/b"}))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, 2))
	s = h.take()
	require.Len(t, s, 1)
	require.IsType(t, pts.FileMeasurement{}, s[0].message.Attributes[0].Value)
	require.IsType(t, patnc.Error{}, s[0].message.Attributes[1].Value)

	in = request(t, patnc.Skip(patnc.AssessmentResult{Result: patnc.NonCompliantMinor}),
		patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationURI, URI: "https://x/\n[IKE] forged"}))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
	require.Empty(t, h.take())

	for _, want := range []string{
		`[IMC] IMC 2 "Attestation" created a state for IF-TNCCS 2.0 Connection ID 1: +long +excl -soh`,
		`[IMC]   over IF-T for Tunneled EAP 2.0 with maximum PA-TNC message size of 65490 bytes`,
		`[PTS]   mandatory PTS measurement algorithm HASH_SHA1[go] available`,
		`[TNC] creating PA-TNC attribute type 'IETF/Product Information' 0x000000/0x00000002`,
		`[IMC] IMC 2 "Attestation" received message for Connection ID 1 from IMV 1`,
		`[TNC] processing PA-TNC message with ID 0x01020304`,
		`[TNC] processing PA-TNC attribute type 'TCG/Request PTS Protocol Capabilities' 0x005597/0x01000000`,
		`[PTS] supported PTS protocol capabilities: .V...`,
		`[IMC] operating system type is 'Debian'`,
		"[IMC]   no message size limit, maximum segment size of 100000 bytes\n[IMC]   lowered maximum segment size to 65466 bytes",
		`[PTS] selected PTS measurement algorithm is HASH_SHA2_384`,
		`[IMC] measurement request 7 for file '/a'`,
		`[IMC] assessment result is 'non-compliant minor'`,
		`[IMC] remediation uri: https://x/\n[IKE] forged`,
	} {
		require.Contains(t, lines.String(), want+"\n")
	}
}

// wpa_supplicant: no long functions, no attributes, one message a batch.
func TestHostThatKeepsOneMessage(t *testing.T) {
	h := &fakeHost{lacks: noLong}
	a := start(t, Config{Platform: fakePlatform{}}, h)
	require.Equal(t, []MessageType{TypePTS}, h.reported)
	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	s := h.take()
	require.Len(t, s, 1)
	require.Equal(t, TypeOperatingSystem, s[0].messageType)
	in := request(t, patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e}), patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: 0xe000}))
	require.Equal(t, ResultSuccess, a.ReceiveMessage(2, 1, in, 0x00559701))
	s = h.take()
	require.Len(t, s, 1)
	require.False(t, s[0].long)
	require.Len(t, s[0].message.Attributes, 2)
}

func TestHostWithoutSendOrReport(t *testing.T) {
	a := New(Config{})
	a.Initialize(1, 1, 1)
	require.Equal(t, ResultFatal, a.ProvideHost(1, &fakeHost{t: t, lacks: map[Function]bool{FuncSendMessage: true, FuncSendMessageLong: true}}))
	require.Equal(t, ResultFatal, a.ProvideHost(1, &fakeHost{t: t, lacks: map[Function]bool{FuncReportMessageTypes: true, FuncReportMessageTypesLong: true}}))
}

func TestOperatingSystemRequests(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Platform: fakePlatform{}}, h)
	in := request(t, patnc.Skip(patnc.AttributeRequest{Types: []patnc.Type{patnc.TypeNumericVersion, patnc.TypePortFilter, patnc.TypeInstalledPackages, patnc.TypeNumericVersion}}),
		patnc.Skip(patnc.GetSettings{Names: []string{"/etc/known", "/etc/unknown"}}))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0, 1, 4, AnyIMC))
	s := h.take()
	require.Len(t, s, 1)
	require.Equal(t, TypeOperatingSystem, s[0].messageType)
	require.Equal(t, FlagExclusive, s[0].flags)
	require.Equal(t, []patnc.Attribute{patnc.Skip(patnc.NumericVersion{Major: 12, Minor: 4}),
		patnc.Skip(patnc.PortFilter{Ports: []patnc.Port{{Protocol: 6, Port: 22}}}), patnc.Skip(patnc.InstalledPackages{Packages: []patnc.Package{}}),
		patnc.Skip(patnc.Settings{Settings: []patnc.Setting{{Name: "/etc/known", Value: []byte("v")}}})}, s[0].message.Attributes)

	in = request(t, patnc.Skip(patnc.GetSettings{Names: []string{"/etc/unknown"}}))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0, 1, 4, AnyIMC))
	require.Empty(t, h.take(), "no attribute without a value")
}

func TestInstalledPackagesAreSplit(t *testing.T) {
	var all []patnc.Package
	for range 100 {
		all = append(all, patnc.Package{Name: "some-package", Version: "1.0"})
	}
	in := []patnc.Attribute{patnc.Skip(patnc.NumericVersion{}), patnc.Skip(patnc.InstalledPackages{Packages: all})}
	require.Equal(t, in, splitPackages(in, 0))
	require.Equal(t, in, splitPackages(in, 65490))
	out := splitPackages(in, 500)
	require.Len(t, out, 5)
	var got []patnc.Package
	for _, at := range out[1:] {
		b, err := at.AppendBinary(nil)
		require.NoError(t, err)
		require.LessOrEqual(t, len(b)+patnc.MessageHeaderSize, 500)
		got = append(got, at.Value.(patnc.InstalledPackages).Packages...)
	}
	require.Equal(t, all, got)
}

func TestReplyIsBounded(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Measurer: fakeMeasurer{big: 100_000}}, h)
	var as []patnc.Attribute
	for range 20 {
		as = append(as, patnc.NoSkip(pts.RequestFileMeasurement{Path: "/a"}))
	}
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, request(t, as...), 0x005597, 1, 1, AnyIMC))
	require.Empty(t, h.take())
}

func TestOSInfoOff(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Platform: fakePlatform{}, Settings: settingsMap{"plugins.imc-attestation.os_info": "no"}}, h)
	require.Equal(t, []MessageType{TypePTS}, h.reported)
	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	require.Empty(t, h.take())

	h = &fakeHost{}
	a = start(t, Config{Platform: fakePlatform{}, Settings: settingsMap{"plugins.imc-os.push_info": "no"}}, h)
	require.Equal(t, []MessageType{TypePTS, TypeOperatingSystem, TypeFirewall}, h.reported)
	require.Equal(t, ResultSuccess, a.BeginHandshake(2, 1))
	require.Empty(t, h.take())
}

func TestSyntaxErrorsAreAnsweredAfterWhatStoodBefore(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{}, h)
	in := append(request(t, patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e})), 0, 0)
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
	s := h.take()
	require.Len(t, s, 1)
	require.Len(t, s[0].message.Attributes, 2)
	offset, ok := s[0].message.Attributes[1].Value.(patnc.Error).Offset()
	require.True(t, ok)
	require.EqualValues(t, 24, offset)

	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, []byte{2, 0, 0, 0, 0, 0, 0, 1}, 0x005597, 1, 1, AnyIMC))
	s = h.take()
	require.Equal(t, patnc.ErrorVersionNotSupported, s[0].message.Attributes[0].Value.(patnc.Error).Code)
}

func TestReceivedErrors(t *testing.T) {
	h := &fakeHost{}
	var lines bytes.Buffer
	a := start(t, Config{Platform: fakePlatform{}, Logger: log.NewWriter(&lines, slog.LevelInfo)}, h)
	tcg := request(t, patnc.Skip(patnc.Error{Vendor: patnc.VendorTCG, Code: 7, Info: []byte{0, 17, 255, 255}}))
	ietf := request(t, patnc.Skip(patnc.InvalidParameter([8]byte{1}, 20)))
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, tcg, 0x005597, 1, 1, AnyIMC))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, ietf, 0x005597, 1, 1, AnyIMC))
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, ietf, 0, 1, 1, AnyIMC))
	unsupported := request(t, patnc.Skip(patnc.TypeNotSupported([8]byte{1}, true, patnc.TypeITADummy)))
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, unsupported, 0x005597, 1, 1, AnyIMC))
	require.Empty(t, h.take())
	for _, want := range []string{ // strongSwan's words
		"[IMC] received TCG-PTS error 'DH-PN Nonce Not Acceptable'\n[IMC] error information: DH-PN Nonce Not Acceptable: 17 to 65535 octets are wanted\n",
		"[TNC] received PA-TNC error 'Invalid Parameter' concerning message 0x01000000/0x00000000\n[TNC]   occurred at offset of 20 bytes\n",
		"[TNC] received PA-TNC error 'Attribute Type Not Supported' concerning message 0x01000000/0x00000000\n[TNC]   unsupported attribute type 'ITA-HSR/Dummy' 0x00902a/0x00000002, flags 0x80\n",
	} {
		require.Contains(t, lines.String(), want)
	}
}

func TestFailureSendsNothing(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{Measurer: fakeMeasurer{}}, h)
	in := request(t, patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e}), patnc.NoSkip(pts.RequestFileMeasurement{Path: "/secret"}))
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
	require.Empty(t, h.take())

	h.answers = ResultExceededMaxMessageSize
	in = request(t, patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e}))
	require.Equal(t, ResultExceededMaxMessageSize, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
}

func TestMessageSizeAndSegments(t *testing.T) {
	const size = 2000
	h := &fakeHost{size: size}
	a := start(t, Config{Measurer: fakeMeasurer{big: 200}}, h)
	measure := patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 1, Path: "/a"})
	caps := patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: 0x0e})

	// Without a contract an attribute that fits no message is dropped.
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, request(t, caps, measure), 0x005597, 1, 1, AnyIMC))
	s := h.take()
	require.Len(t, s, 1)
	require.Len(t, s[0].message.Attributes, 1)

	contract := patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 65466}})
	require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, request(t, contract, measure), 0x005597, 1, 1, AnyIMC))
	r := patnc.NewReassembler(pts.Attributes)
	var got *patnc.Attribute
	for range 100 {
		s := h.take()
		require.Len(t, s, 1)
		require.LessOrEqual(t, s[0].size, size)
		var next *patnc.NextSegment
		for _, at := range s[0].message.Attributes {
			if e, ok := at.Value.(patnc.SegmentEnvelope); ok {
				var err error
				got, next, err = r.Add(e)
				require.NoError(t, err)
			}
		}
		if next == nil {
			break
		}
		require.Equal(t, ResultSuccess, a.ReceiveMessageLong(2, 1, 0, request(t, patnc.NoSkip(*next)), 0x005597, 1, 1, AnyIMC))
	}
	require.NotNil(t, got)
	require.Len(t, got.Value.(pts.FileMeasurement).Files, 201)
}

func TestConnectionsAreIndependent(t *testing.T) {
	h := &fakeHost{}
	a := start(t, Config{}, h)
	var wg sync.WaitGroup
	for id := uint32(10); id < 26; id++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				a.NotifyConnectionChange(2, id, ConnectionCreate)
				a.NotifyConnectionChange(2, id, ConnectionHandshake)
				a.BeginHandshake(2, id)
				b, _ := patnc.Message{Attributes: []patnc.Attribute{patnc.NoSkip(pts.DHNonceParametersRequest{Groups: pts.ECP256})}}.AppendBinary(nil)
				if r := a.ReceiveMessageLong(2, id, 0, b, 0x005597, 1, 1, AnyIMC); r != ResultSuccess {
					t.Errorf("connection %d: %v", id, r)
				}
				a.NotifyConnectionChange(2, id, ConnectionDelete)
			}
		}()
	}
	wg.Wait()
	require.Len(t, h.take(), 16*20)
	for id := uint32(100); ; id++ {
		if r := a.NotifyConnectionChange(2, id, ConnectionCreate); r != ResultSuccess {
			require.Equal(t, ResultOther, r)
			require.EqualValues(t, 100+MaxConnections-1, id)
			break
		}
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "'TCG/PTS' 0x005597/0x00000001", TypePTS.String())
	require.Equal(t, "fatal error", ResultFatal.String())
	require.Equal(t, "Isolated", ConnectionAccessIsolated.String())
	require.Len(t, Functions(), 8)
	for _, f := range Functions() {
		require.True(t, strings.HasPrefix(f.String(), "TNC_TNCC_"))
	}
	short, ok := TypePTS.Short()
	require.True(t, ok)
	require.EqualValues(t, 0x00559701, short)
	_, ok = MessageType{Vendor: 1, Subtype: 256}.Short()
	require.False(t, ok)
}

func FuzzReceiveMessage(f *testing.F) {
	for _, v := range []patnc.Value{pts.RequestProtocolCapabilities{}, pts.MeasurementAlgorithm{Algorithms: 0xe000}, pts.RequestFileMeasurement{Path: "/a"},
		patnc.NextSegment{}, patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: 50, MaxSegment: 12}}} {
		b, _ := patnc.Message{Attributes: []patnc.Attribute{patnc.NoSkip(v)}}.AppendBinary(nil)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, isPTS bool) {
		h := &fakeHost{}
		a := start(t, Config{Platform: fakePlatform{}, Measurer: fakeMeasurer{}}, h)
		mt := TypePTS
		if !isPTS {
			mt = TypeOperatingSystem
		}
		a.ReceiveMessageLong(2, 1, 0, b, mt.Vendor, mt.Subtype, 1, AnyIMC)
		a.ReceiveMessageLong(2, 1, 0, b, mt.Vendor, mt.Subtype, 1, AnyIMC)
	})
}
