package tnccs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// fake is an IMC that records its calls and does what the test says.
type fake struct {
	t     *testing.T
	calls []string
	id    uint32
	host  TNCC

	types    []uint32 // vendor, subtype, …
	init     func() error
	onNotify func(conn uint32, st ConnectionState) error
	onBegin  func(conn uint32) error
	onMsg    func(conn uint32, m Message) error
	onEnd    func(conn uint32) error
}

func (f *fake) note(format string, a ...any) { f.calls = append(f.calls, fmt.Sprintf(format, a...)) }

func (f *fake) Initialize(id uint32, host TNCC) error {
	f.note("Initialize")
	f.id, f.host = id, host
	if f.init != nil {
		if err := f.init(); err != nil {
			return err
		}
	}
	var vs, ss []uint32
	for i := 0; i+1 < len(f.types); i += 2 {
		vs, ss = append(vs, f.types[i]), append(ss, f.types[i+1])
	}
	require.Equal(f.t, ResultSuccess, host.ReportMessageTypesLong(id, vs, ss))
	return nil
}

func (f *fake) NotifyConnectionChange(conn uint32, st ConnectionState) error {
	f.note("%s", st)
	if f.onNotify != nil {
		return f.onNotify(conn, st)
	}
	return nil
}

func (f *fake) BeginHandshake(conn uint32) error {
	f.note("Begin")
	if f.onBegin != nil {
		return f.onBegin(conn)
	}
	return nil
}

func (f *fake) ReceiveMessage(conn uint32, m Message) error {
	f.note("Receive %x/%x %s", m.Vendor, m.Subtype, m.Data)
	if f.onMsg != nil {
		return f.onMsg(conn, m)
	}
	return nil
}

func (f *fake) BatchEnding(conn uint32) error {
	f.note("Ending")
	if f.onEnd != nil {
		return f.onEnd(conn)
	}
	return nil
}

func (f *fake) Terminate() error {
	f.note("Terminate")
	return nil
}

func (f *fake) send(conn uint32, vendor, subtype uint32, text string) Result {
	return f.host.SendMessageLong(f.id, conn, 0, []byte(text), vendor, subtype, IMVAny)
}

func setup(t *testing.T, cfg Config, imcs ...*fake) (*Client, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	cfg.Logger = log.NewWriter(&b, slog.LevelInfo)
	c, err := NewClient(cfg)
	require.NoError(t, err)
	for i, f := range imcs {
		f.t = t
		require.NoError(t, c.Add(fmt.Sprintf("Fake%d", i+1), f))
	}
	return c, &b
}

func server(t *testing.T, typ pb.BatchType, ms ...pb.Message) []byte {
	t.Helper()
	b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func decode(t *testing.T, b []byte) pb.Batch {
	t.Helper()
	x, err := pb.Parse(b, pb.Server)
	require.NoError(t, err)
	return x
}

func pa(vendor, subtype uint32, text string) pb.PA {
	return pb.PA{Vendor: vendor, Subtype: subtype, Collector: pb.AnyID, Validator: 1, Body: []byte(text)}
}

func TestWholeSession(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	f.onBegin = func(conn uint32) error { return ErrorOf(f.send(conn, 0x5597, 1, "hello")) }
	f.onMsg = func(conn uint32, m Message) error {
		require.Equal(t, ResultSuccess, f.host.SendMessageLong(f.id, conn, FlagsExclusive, []byte("evidence"), m.Vendor, m.Subtype, m.SourceIMV))
		return nil
	}
	c, text := setup(t, Config{}, f)
	s := c.NewSession()
	b, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CDATA, Messages: []pb.Message{
		pb.LanguagePreference{Languages: "en"},
		pb.PA{Vendor: 0x5597, Subtype: 1, Collector: 1, Validator: 0xffff, Body: []byte("hello")},
	}}, decode(t, b))
	b, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "ask"),
		pb.PDPReferral{Vendor: pb.VendorTCG, Port: 271, Host: "pdp.example.org"}, pa(0x5597, 2, "for nobody")))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CDATA, Messages: []pb.Message{
		pb.PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: 1, Validator: 1, Body: []byte("evidence")},
	}}, decode(t, b))
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CDATA}, decode(t, b))
	b, err = s.Receive(server(t, pb.RESULT, pb.AssessmentResult{Result: pb.MinorFailure}, pb.AccessRecommendation{Code: pb.Quarantined},
		pb.ReasonString{Text: "a\x1b[2Jb\u202e", Language: "en"}, pb.RemediationParameters{Type: pb.RemediationURI, URI: "http://fix/"},
		pb.RemediationParameters{Type: pb.RemediationString, Text: "fix", Language: "en"}))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b))
	require.True(t, s.Done())
	o := s.Outcome()
	require.Equal(t, RecommendIsolate, o.Recommendation)
	require.Equal(t, AssessmentMinor, o.Assessment)
	require.Equal(t, []Reason{{"a\ufffd[2Jb\ufffd", "en"}}, o.Reasons)
	require.Equal(t, []Remediation{{URI: "http://fix/", Type: 1}, {Text: "fix", Language: "en", Type: 2}}, o.Remediation)
	require.Equal(t, "pdp.example.org:271", o.PDP)
	require.Equal(t, []int{4, 3, 2, 2}, []int{o.BatchesSent, o.BatchesReceived, o.MessagesSent, o.MessagesReceived})
	require.NoError(t, o.Err)
	b, err = s.Receive(server(t, pb.CLOSE))
	require.NoError(t, err)
	require.Empty(t, b)
	_, err = s.Receive(server(t, pb.SDATA))
	require.ErrorIs(t, err, ErrEnded)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.Equal(t, []string{"Initialize", "Create", "Handshake", "Begin", "Receive 5597/1 ask", "Ending", "Ending", "Isolated", "Ending", "Delete", "Terminate"}, f.calls)
	for _, l := range []string{
		"[TNC] IMC 1 \"Fake1\" loaded",
		"[TNC] assigned TNCCS Connection ID 1",
		"[TNC] creating PB-PA message type 'TCG/PTS' 0x005597/0x00000001",
		"[TNC] creating PB-TNC CDATA batch",
		"[TNC] adding IETF/PB-Language-Preference message",
		"[TNC] adding IETF/PB-PA message",
		"[TNC] PB-TNC state transition from 'Init' to 'Server Working'",
		"[TNC] sending PB-TNC CDATA batch (68 bytes) for Connection ID 1",
		"[TNC] received TNCCS batch (8 bytes)",
		"[TNC] processing PB-TNC SDATA batch for Connection ID 1",
		"[TNC] handling PB-PA message type 'TCG/PTS' 0x005597/0x00000001",
		"[TNC] message type 0x005597/0x00000002 not supported by any IMC",
		"[TNC] PB-TNC assessment result is 'non-compliant minor'",
		"[TNC] PB-TNC access recommendation is 'Quarantined'",
		"[TNC] removed TNCCS Connection ID 1",
	} {
		require.Contains(t, text.String(), l+"\n")
	}
	require.NotContains(t, text.String(), "\x1b")
}

func TestSubscriptionsAndExclusive(t *testing.T) {
	a := &fake{types: []uint32{0x5597, 1}}
	b := &fake{types: []uint32{0x5597, SubtypeAny}}
	all := &fake{types: []uint32{VendorAny, SubtypeAny}}
	odd := &fake{types: []uint32{VendorAny, 1}}
	c, _ := setup(t, Config{}, a, b, all, odd)
	extra, r := c.ReserveAdditionalIMCID(a.id)
	require.Equal(t, ResultSuccess, r)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	got := func(f *fake) (out []string) {
		for _, x := range f.calls {
			if m, ok := strings.CutPrefix(x, "Receive "); ok {
				out = append(out, m)
			}
		}
		return out
	}
	_, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x"), pa(0x5597, 9, "y"), pa(1, 1, "z"),
		pb.PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: uint16(extra), Validator: 1, Body: []byte("only a")},
		pb.PA{Exclusive: true, Vendor: 1, Subtype: 1, Collector: uint16(a.id), Validator: 1, Body: []byte("not subscribed")},
		pb.PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: 99, Validator: 1, Body: []byte("nobody")}))
	require.NoError(t, err)
	require.Equal(t, []string{"5597/1 x", "5597/1 only a"}, got(a))
	require.Equal(t, []string{"5597/1 x", "5597/9 y"}, got(b))
	require.Equal(t, []string{"5597/1 x", "5597/9 y", "1/1 z"}, got(all))
	require.Empty(t, got(odd), "as in strongSwan")
}

func TestSendWindowAndLimits(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	var out []Result
	f.onNotify = func(conn uint32, st ConnectionState) error {
		out = append(out, f.send(conn, 0x5597, 1, "x"))
		return nil
	}
	f.onBegin = func(conn uint32) error {
		require.Equal(t, ResultExceededMaxMessageSize, f.send(conn, 0x5597, 1, strings.Repeat("x", 969)))
		require.Equal(t, ResultInvalidParameter, f.send(conn, VendorAny, 1, "x"))
		require.Equal(t, ResultInvalidParameter, f.send(conn, 1, SubtypeAny, "x"))
		require.Equal(t, ResultInvalidParameter, f.send(conn+1, 1, 1, "x"))
		require.Equal(t, ResultInvalidParameter, f.host.SendMessage(99, conn, nil, 1))
		for range 3 {
			require.Equal(t, ResultSuccess, f.send(conn, 0x5597, 1, strings.Repeat("x", 968)))
		}
		return nil
	}
	c, _ := setup(t, Config{MaxBatchSize: 5000}, f)
	s := c.NewSession()
	b, err := s.Begin(1000, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, decode(t, b).Messages, 1, "the language alone: the message fills a batch")
	for range 3 {
		require.Equal(t, ResultIllegalOperation, f.send(s.ID(), 0x5597, 1, "x"))
		b, err = s.Receive(server(t, pb.SDATA))
		require.NoError(t, err)
		require.Len(t, b, 1000)
	}
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Len(t, b, 8)
	require.Equal(t, []Result{ResultIllegalOperation, ResultIllegalOperation}, out)
	// A flood is stopped.
	f.onEnd = func(conn uint32) error {
		for i := 0; ; i++ {
			if r := f.send(conn, 1, 1, "x"); r != ResultSuccess {
				require.Equal(t, ResultOther, r)
				require.Equal(t, MaxQueuedMessages, i)
				return nil
			}
		}
	}
	_, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	_, err = c.NewSession().Begin(100, TransportEAP, "1.1")
	require.ErrorContains(t, err, "too small")
}

func TestAttributes(t *testing.T) {
	f := &fake{}
	c, _ := setup(t, Config{MaxMessageSize: 1000}, f)
	s := c.NewSession()
	_, r := c.GetAttribute(f.id, s.ID(), AttrMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r, "not open yet")
	_, err := s.Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	for a, want := range map[uint32]string{
		AttrMaxRoundTrips:   "\xff\xff\xff\xff",
		AttrMaxMessageSize:  "\x00\x00\x03\xe8",
		AttrHasLongTypes:    "\x01",
		AttrHasExclusive:    "\x01",
		AttrHasSOH:          "\x00",
		AttrIFTNCCSProtocol: "IF-TNCCS\x00",
		AttrIFTNCCSVersion:  "2.0\x00",
		AttrIFTProtocol:     "IF-T for TLS\x00",
		AttrIFTVersion:      "2.0\x00",
		AttrPrimaryIMCID:    "\x00\x00\x00\x01",
	} {
		v, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultSuccess, r, "%x", a)
		require.Equal(t, want, string(v), "%x", a)
	}
	for _, a := range []uint32{AttrPreferredLanguage, AttrDHPN, AttrTLSUnique, 0x00559708, 7} {
		_, r := c.GetAttribute(f.id, s.ID(), a)
		require.Equal(t, ResultInvalidParameter, r)
	}
	_, r = c.GetAttribute(f.id, ConnectionAny, AttrMaxMessageSize)
	require.Equal(t, ResultInvalidParameter, r)
	require.Equal(t, ResultInvalidParameter, c.SetAttribute(f.id, s.ID(), AttrPreferredLanguage, nil))
}

func TestDefaultMessageSizes(t *testing.T) {
	c, _ := setup(t, Config{}, &fake{})
	for _, tt := range []struct {
		proto string
		max   int
		want  uint32
	}{{TransportEAP, 0, 65490}, {TransportTLS, 0, 2097104}, {TransportEAP, 1 << 30, 65490}, {TransportEAP, 1032, 1000}} {
		s := c.NewSession()
		_, err := s.Begin(tt.max, tt.proto, "2.0")
		require.NoError(t, err)
		v, _ := c.GetAttribute(1, s.ID(), AttrMaxMessageSize)
		require.Equal(t, u32(tt.want), v)
	}
}

func TestProtocolErrorsCloseTheSession(t *testing.T) {
	for _, tt := range []struct {
		name   string
		batch  []byte
		code   pb.ErrorCode
		offset uint32
	}{
		{"short", []byte{2}, pb.CodeInvalidParameter, 0},
		{"version", []byte{1, 0x80, 0, 2, 0, 0, 0, 8}, pb.CodeVersionNotSupported, 0},
		{"direction", []byte{2, 0, 0, 2, 0, 0, 0, 8}, pb.CodeInvalidParameter, 1},
		{"own type", []byte{2, 0x80, 0, 1, 0, 0, 0, 8}, pb.CodeUnexpectedBatchType, 0},
		{"mandatory", server(t, pb.SDATA, pa(0x5597, 1, "never"), pb.Raw{Flags: 0x80, Kind: pb.TypeNoskipTest}), pb.CodeUnsupportedMandatory, 37},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{types: []uint32{0x5597, 1}}
			c, _ := setup(t, Config{}, f)
			s := c.NewSession()
			_, err := s.Begin(0, TransportEAP, "1.1")
			require.NoError(t, err)
			b, err := s.Receive(tt.batch)
			require.NoError(t, err)
			x := decode(t, b)
			require.Equal(t, pb.CLOSE, x.Type)
			require.Len(t, x.Messages, 1)
			m := x.Messages[0].(pb.Error)
			require.Equal(t, tt.code, m.Code)
			require.True(t, m.Fatal)
			if o, ok := m.Offset(); ok {
				require.Equal(t, tt.offset, o)
			}
			var pe *pb.ProtocolError
			require.ErrorAs(t, s.Outcome().Err, &pe)
			require.NotContains(t, strings.Join(f.calls, " "), "Receive", "nothing of the batch is acted upon")
			_, err = s.Receive(tt.batch)
			require.ErrorAs(t, err, &pe)
			require.NoError(t, c.Close())
		})
	}
}

func TestPeerErrors(t *testing.T) {
	begin := func(f *fake) *Session {
		c, _ := setup(t, Config{}, f)
		s := c.NewSession()
		_, err := s.Begin(0, TransportEAP, "1.1")
		require.NoError(t, err)
		return s
	}
	fatal := pb.Error{Fatal: true, Code: pb.CodeLocalError}
	var pe *pb.PeerError

	s := begin(&fake{})
	b, err := s.Receive(server(t, pb.CLOSE, fatal))
	require.ErrorAs(t, err, &pe)
	require.Empty(t, b)
	require.True(t, s.Done())

	f := &fake{types: []uint32{0x5597, 1}}
	s = begin(f)
	b, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x"), fatal))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b))
	require.ErrorAs(t, s.Outcome().Err, &pe)
	require.NotContains(t, strings.Join(f.calls, " "), "Receive")

	s = begin(&fake{})
	b, err = s.Receive(server(t, pb.SDATA, pb.Error{Code: pb.CodeInvalidParameter, Parameters: []byte{0, 0, 0, 8}}))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type, "a non-fatal one is only logged")

	s = begin(&fake{})
	b, err = s.Receive(server(t, pb.CLOSE))
	require.NoError(t, err)
	require.Empty(t, b)
	require.True(t, s.Done())
	require.NoError(t, s.Outcome().Err)

	s = begin(&fake{})
	_, err = s.Receive(append(server(t, pb.CLOSE, fatal)[:20], 1))
	require.NoError(t, err, "the header's length is wrong: answered")
	broken := server(t, pb.CLOSE, fatal)
	broken[8] = 0
	s = begin(&fake{})
	b, err = s.Receive(broken)
	require.Error(t, err)
	require.Empty(t, b, "a bad CLOSE is not answered")
}

func TestRetries(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	n := 0
	f.onBegin = func(conn uint32) error { n++; return ErrorOf(f.send(conn, 0x5597, 1, fmt.Sprint(n))) }
	f.onMsg = func(conn uint32, m Message) error { return ErrorOf(f.host.RequestHandshakeRetry(f.id, conn, 0)) }
	c, _ := setup(t, Config{}, f)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	b, err := s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x")))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type, "in another state than Decided it is forgotten")

	f.onNotify = func(conn uint32, st ConnectionState) error {
		if st == StateAccessNone {
			return ErrorOf(f.host.RequestHandshakeRetry(f.id, ConnectionAny, 0))
		}
		return nil
	}
	b, err = s.Receive(server(t, pb.RESULT, pb.AssessmentResult{Result: pb.MajorFailure}, pb.AccessRecommendation{Code: pb.AccessDenied}))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CRETRY, Messages: []pb.Message{pb.PA{Vendor: 0x5597, Subtype: 1, Collector: 1, Validator: 0xffff, Body: []byte("2")}}}, decode(t, b))
	require.Equal(t, RecommendNone, s.Outcome().Recommendation)
	require.Equal(t, AssessmentNone, s.Outcome().Assessment)

	b, err = s.Receive(server(t, pb.SRETRY))
	require.NoError(t, err)
	require.Empty(t, b, "it crossed the CRETRY")
	require.Equal(t, 2, n)

	b, err = s.Receive(server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}))
	require.NoError(t, err)
	require.Equal(t, pb.CLOSE, decode(t, b).Type)
	require.Equal(t, RecommendAllow, s.Outcome().Recommendation)
}

func TestServerRetryInDecided(t *testing.T) {
	// Decided is left by CLOSE at once where nothing is to be said, so the state
	// is set here.
	f := &fake{types: []uint32{0x5597, 1}}
	f.onBegin = func(conn uint32) error { return ErrorOf(f.send(conn, 0x5597, 1, "again")) }
	c, _ := setup(t, Config{}, f)
	s := c.NewSession()
	_, err := s.Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	s.move(pb.Decided)
	b, err := s.Receive(server(t, pb.SRETRY))
	require.NoError(t, err)
	require.Empty(t, b, "CDATA may not be sent before SDATA")
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Len(t, decode(t, b).Messages, 1)
}

func TestServerOpensTheTransport(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	c, _ := setup(t, Config{}, f)
	s := c.NewSession()
	_, err := s.Receive(server(t, pb.SDATA))
	require.ErrorIs(t, err, ErrNotOpen)
	require.NoError(t, s.Open(0, TransportTLS, "2.0"))
	b, err := s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x")))
	require.NoError(t, err)
	require.Equal(t, pb.TypeLanguagePreference, decode(t, b).Messages[0].MessageType())
	require.Equal(t, []string{"Initialize", "Create", "Handshake", "Begin", "Receive 5597/1 x", "Ending"}, f.calls)
}

func TestLostIMCIsLeftOut(t *testing.T) {
	boom := errors.New("boom")
	a := &fake{types: []uint32{0x5597, 1}, onBegin: func(uint32) error { return boom }}
	b := &fake{types: []uint32{0x5597, 1}, onBegin: func(uint32) error { return ResultFatal }}
	c, text := setup(t, Config{}, a, b)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Equal(t, []string{"Fake2"}, c.IMCs())
	require.Len(t, s.Outcome().IMCErrors, 1)
	require.ErrorIs(t, s.Outcome().IMCErrors[0], boom)
	require.Contains(t, text.String(), `[IMC] IMC 1 "Fake1" is lost: boom`)
	_, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x")))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Equal(t, []string{"Initialize", "Create", "Handshake", "Begin", "Terminate"}, a.calls)
	require.Equal(t, []string{"Initialize", "Create", "Handshake", "Begin", "Receive 5597/1 x", "Ending", "Delete", "Terminate"}, b.calls)
}

func TestAddRefused(t *testing.T) {
	c, _ := setup(t, Config{})
	f := &fake{init: func() error { return ResultNoCommonVersion }}
	err := c.Add("Fake", f)
	require.ErrorIs(t, err, ResultNoCommonVersion)
	require.EqualError(t, err, `initialize IMC "Fake": TNC result 3 (no common version)`)
	require.Equal(t, []string{"Initialize", "Terminate"}, f.calls)
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypes(f.id, []uint32{1}))
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Add("Fake", &fake{}), ErrClosed)
	_, err = c.NewSession().Begin(0, TransportEAP, "1.1")
	require.ErrorIs(t, err, ErrClosed)
}

func TestReportMessageTypes(t *testing.T) {
	f := &fake{}
	c, _ := setup(t, Config{}, f)
	require.Equal(t, ResultSuccess, c.ReportMessageTypes(f.id, []uint32{0x00902a01, 0x005597ff}))
	require.Equal(t, []subscription{{0x902a, 1}, {0x5597, 0xff}}, *c.owner(f.id).subscribed.Load())
	require.Equal(t, ResultSuccess, c.ReportMessageTypes(f.id, nil), "0 clears")
	require.Empty(t, *c.owner(f.id).subscribed.Load())
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypesLong(f.id, []uint32{1 << 24}, []uint32{1}))
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypes(f.id, make([]uint32, MaxSubscriptions+1)))
	id, _ := c.ReserveAdditionalIMCID(f.id)
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypes(id, nil), "the primary ID only")
}

func TestBadConfig(t *testing.T) {
	_, err := NewClient(Config{PreferredLanguage: "en\r\n"})
	require.Error(t, err)
	_, err = NewClient(Config{MaxBatchSize: -1})
	require.Error(t, err)
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{2, 0x80, 0, 2, 0, 0, 0, 8}, []byte{2, 0x80, 0, 3, 0, 0, 0, 8})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c, err := NewClient(Config{})
		require.NoError(t, err)
		i := &fake{t: t, types: []uint32{VendorAny, SubtypeAny}}
		i.onMsg = func(conn uint32, m Message) error {
			i.host.SendMessageLong(i.id, conn, 0, m.Data, m.Vendor, m.Subtype, m.SourceIMV)
			return nil
		}
		require.NoError(t, c.Add("x", i))
		s := c.NewSession()
		_, err = s.Begin(2000, TransportEAP, "1.1")
		require.NoError(t, err)
		for _, in := range [][]byte{a, b} {
			out, err := s.Receive(in)
			if len(out) > 0 {
				if err != nil || len(out) > 2000 {
					t.Fatalf("%d octets, %v", len(out), err)
				}
				if _, err := pb.Parse(out, pb.Server); err != nil {
					t.Fatal(err)
				}
			}
		}
		require.NoError(t, c.Close())
	})
}
