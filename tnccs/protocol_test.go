package tnccs

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/xml"
)

func TestDetect(t *testing.T) {
	for b, want := range map[string]Protocol{
		"\x02": ProtocolPB, "<?xml": ProtocolXML, "\n<": ProtocolXML, "\t": ProtocolXML, "\r": ProtocolXML, " ": ProtocolXML,
		"": "", "\x00": "", "\x03": "",
	} {
		p, err := Detect([]byte(b))
		require.Equal(t, want, p, "%q", b)
		require.Equal(t, want == "", errors.Is(err, ErrProtocol))
	}
	_, err := NewClient(Config{Protocol: "tnccs-3.0"})
	require.ErrorContains(t, err, "tnccs-dynamic")
}

func xmlBatch(t testing.TB, id uint32, ms ...xml.Message) []byte {
	b, err := xml.Batch{ID: id, Recipient: xml.TNCC, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func xmlParse(t testing.TB, b []byte, id uint32) []xml.Message {
	t.Helper()
	x, err := xml.Parse(b, id, xml.TNCS)
	require.NoError(t, err)
	return x.Messages
}

func TestXMLSession(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	var results []Result
	f.onBegin = func(conn uint32) error {
		results = append(results, f.send(conn, 0x5597, 1, "hello"), f.host.SendMessage(f.id, conn, []byte("short"), 0x00559701),
			f.host.SendMessageLong(f.id, conn, 0, []byte("x"), 1, 0x100, IMVAny), f.send(conn, 1, 1, string(make([]byte, 45001))))
		for a, want := range map[uint32]string{
			AttrMaxMessageSize: string(u32(45000)), AttrHasLongTypes: "\x00", AttrHasExclusive: "\x00",
			AttrIFTNCCSProtocol: "IF-TNCCS\x00", AttrIFTNCCSVersion: "1.1\x00", AttrIFTVersion: "1.1\x00",
		} {
			v, r := f.host.GetAttribute(f.id, conn, a)
			require.Equal(t, ResultSuccess, r)
			require.Equal(t, want, string(v), "%x", a)
		}
		return nil
	}
	var got Message
	f.onMsg = func(_ uint32, m Message) error { got = m; return nil }
	c, text := setup(t, Config{Protocol: ProtocolXML, PreferredLanguage: "de"}, f)
	s := c.NewSession()
	b, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Equal(t, []Result{0, 0, ResultNoLongMessageTypes, ResultExceededMaxMessageSize}, results)
	require.Equal(t, []xml.Message{xml.PreferredLanguage{Languages: "de"}, xml.IMCIMV{Type: 0x559701, Body: []byte("hello")},
		xml.IMCIMV{Type: 0x559701, Body: []byte("short")}}, xmlParse(t, b, 1))
	b, err = s.Receive(xmlBatch(t, 2, xml.IMCIMV{Type: 0x559701, Body: []byte("ask")}))
	require.NoError(t, err)
	require.Empty(t, xmlParse(t, b, 3), "a batch all the same")
	require.Equal(t, Message{Vendor: 0x5597, Subtype: 1, SourceIMV: 0, DestIMC: IMCAny, Data: []byte("ask")}, got)
	b, err = s.Receive(xmlBatch(t, 4, xml.Recommendation{Type: xml.Isolate},
		xml.ReasonStrings{Reasons: []xml.Reason{{Language: "en", Text: "why"}, {Language: "de", Text: "darum"}}},
		xml.ContactInfo{}))
	require.NoError(t, err)
	require.Empty(t, b, "nothing is left to say")
	o := s.Outcome()
	require.Equal(t, RecommendIsolate, o.Recommendation)
	require.Equal(t, []Reason{{"darum", "de"}}, o.Reasons)
	require.Len(t, o.AllReasons, 2)
	require.Equal(t, pb.Decided, o.State)
	require.Equal(t, []int{2, 2, 2, 1}, []int{o.BatchesSent, o.BatchesReceived, o.MessagesSent, o.MessagesReceived})
	require.Empty(t, s.End())
	require.True(t, s.Done())
	_, err = s.Receive(xmlBatch(t, 5))
	require.ErrorIs(t, err, ErrEnded)
	require.NoError(t, c.Close())
	require.Contains(t, text.String(), "[TNC] TNC recommendation is 'isolate'\n")
	require.Equal(t, []string{"Initialize", "Create", "Handshake", "Begin", "Receive 5597/1 ask", "Ending", "Isolated", "Ending", "Delete", "Terminate"}, f.calls)
}

func TestXMLErrors(t *testing.T) {
	begin := func(t *testing.T) (*Session, *fake) {
		f := &fake{types: []uint32{0x5597, 1}}
		c, _ := setup(t, Config{Protocol: ProtocolXML}, f)
		s := c.NewSession()
		_, err := s.Begin(0, TransportEAP, "1.1")
		require.NoError(t, err)
		return s, f
	}
	for want, in := range map[xml.ErrorType][]byte{
		xml.MalformedBatch:       []byte("<TNCCS-Batch>"),
		xml.InvalidBatchID:       xmlBatch(t, 9, xml.IMCIMV{Type: 0x559701}),
		xml.InvalidRecipientType: []byte(`<TNCCS-Batch BatchId="2" Recipient="x" xmlns="` + xml.Namespace + `"/>`),
	} {
		s, f := begin(t)
		b, err := s.Receive(in)
		require.NoError(t, err)
		ms := xmlParse(t, b, 3)
		require.Len(t, ms, 1)
		require.Equal(t, want, ms[0].(xml.Error).Type)
		var pe *xml.ProtocolError
		require.ErrorAs(t, s.Outcome().Err, &pe)
		require.True(t, s.Done())
		require.NotContains(t, f.calls, "Ending")
		b, err = s.Receive(in)
		require.ErrorAs(t, err, &pe)
		require.Empty(t, b, "an error is answered once")
	}
	s, f := begin(t)
	b, err := s.Receive(xmlBatch(t, 2, xml.IMCIMV{Type: 0x559701}, xml.Error{Type: xml.Other, Text: "no\x1b"}))
	var pe *xml.PeerError
	require.ErrorAs(t, err, &pe)
	require.Empty(t, b, "an error of the server is not answered")
	require.NotContains(t, f.calls, "Ending")
	require.NotContains(t, err.Error(), "\x1b")

	s, _ = begin(t)
	_, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.ErrorContains(t, s.Outcome().Err, "tnccs-2.0", "it says what is wrong")
}

func TestTransportsOfXML(t *testing.T) {
	c, _ := setup(t, Config{Protocol: ProtocolXML}, &fake{})
	for _, tr := range [][2]string{{TransportEAP, "2.0"}, {TransportTLS, "2.0"}} {
		b, err := c.NewSession().Begin(0, tr[0], tr[1])
		require.NoError(t, err)
		require.Equal(t, byte(2), b[0], "%s carries PB-TNC only", tr)
	}
}

func TestDynamicFollowsAServerThatSpeaksFirst(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	c, _ := setup(t, Config{Protocol: ProtocolDynamic}, f)
	s := c.NewSession()
	require.NoError(t, s.Open(0, TransportEAP, "1.1"))
	b, err := s.Receive(xmlBatch(t, 1, xml.IMCIMV{Type: 0x559701, Body: []byte("a")}))
	require.NoError(t, err)
	require.Equal(t, []xml.Message{xml.PreferredLanguage{Languages: "en"}}, xmlParse(t, b, 2))
	s = c.NewSession()
	require.NoError(t, s.Open(0, TransportEAP, "1.1"))
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type)
	s = c.NewSession()
	b, err = s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type)
}

func TestPreferredLanguage(t *testing.T) {
	all := []Reason{{"one", "en-GB"}, {"zwei", "de"}, {"drei", "de-CH"}, {"none", ""}}
	for accept, want := range map[string]string{
		"de":             "zwei drei none",
		"fr, en;q=0.5":   "one none",
		"de;q=0.1, en":   "one none",
		"fr":             "one zwei drei none",
		"*":              "one zwei drei none",
		"de-CH, de":      "drei none",
		"de;q=0, en":     "one none",
		"EN-gb;q = 0.9 ": "one none",
	} {
		var got string
		for _, r := range preferred(accept, all, func(r Reason) string { return r.Language }) {
			got += " " + r.Text
		}
		require.Equal(t, " "+want, got, accept)
	}
}

func TestLostIMCIsStartedAgain(t *testing.T) {
	var made []*fake
	c, text := setup(t, Config{})
	var refuse error
	require.NoError(t, c.AddLoader("Frail", func() (IMC, error) {
		if refuse != nil {
			return nil, refuse
		}
		f := &fake{t: t, types: []uint32{1, 1}}
		if len(made) == 0 {
			f.onBegin = func(uint32) error { return errors.New("it crashed") }
		}
		made = append(made, f)
		return f, nil
	}))
	s1 := c.NewSession()
	_, err := s1.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, s1.Outcome().IMCErrors, 1)
	require.True(t, c.Collectors()[0].Lost)

	s2 := c.NewSession()
	_, err = s2.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Empty(t, s2.Outcome().IMCErrors)
	require.Len(t, made, 2)
	require.Equal(t, []string{"Initialize", "Handshake", "Begin"}, []string{made[1].calls[0], made[1].calls[2], made[1].calls[3]})
	require.Equal(t, made[0].id, made[1].id, "under the same ID")
	require.Equal(t, "Terminate", made[0].calls[len(made[0].calls)-1])
	require.Contains(t, text.String(), `IMC 1 "Frail" started again`)
	n := len(made[1].calls)
	_, err = s1.Receive(server(t, pb.SDATA, pa(1, 1, "x")))
	require.NoError(t, err)
	require.Len(t, made[1].calls, n, "it knows nothing of the connection before")

	made[1].onEnd = func(uint32) error { return errors.New("again") }
	_, err = s2.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	refuse = errors.New("no more")
	s3 := c.NewSession()
	_, err = s3.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.ErrorContains(t, s3.Outcome().IMCErrors[0], "no more")
	refuse = nil
	_, err = c.NewSession().Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, made, 3)
	require.Equal(t, []string{"Frail"}, c.IMCs())
	require.NoError(t, c.Close())
	require.Equal(t, "Terminate", made[2].calls[len(made[2].calls)-1])
}

func TestTraceTellsQuestionsBeforeAnswers(t *testing.T) {
	var got []string
	f := &fake{types: []uint32{0x5597, 1}}
	f.onMsg = func(conn uint32, m Message) error { f.send(conn, 0x5597, 1, "answer"); return nil }
	c, _ := setup(t, Config{Trace: func(e Exchange) {
		got = append(got, fmt.Sprintf("%v %v %d %d %d %d %s", e.Sent, e.IMCs, e.IMC, e.IMV, e.Vendor, e.Subtype, e.Body))
	}}, f)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	_, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "question"), pa(9, 9, "nobody's")))
	require.NoError(t, err)
	require.Equal(t, []string{"false [Fake1] 65535 1 21911 1 question", "true [Fake1] 1 65535 21911 1 answer", "false [] 65535 1 9 9 nobody's"}, got)
}

func TestNonFatalErrorsAreReported(t *testing.T) {
	c, _ := setup(t, Config{}, &fake{})
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	b, err := s.Receive(server(t, pb.SDATA, pb.AccessRecommendation{Code: pb.AccessAllowed}))
	require.NoError(t, err)
	x := decode(t, b)
	require.Equal(t, pb.CDATA, x.Type)
	e := x.Messages[0].(pb.Error)
	require.False(t, e.Fatal)
	require.Equal(t, RecommendNone, s.Outcome().Recommendation)
	require.NoError(t, s.Outcome().Err)
	b, err = s.Receive(server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}, pb.ReasonString{Text: "\xff", Language: "en"}))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b), "CLOSE stays empty")
	require.True(t, s.Outcome().Allowed())
}

// A full-duplex transport keeps the session: both ends may ask for more.
func TestKeepOpen(t *testing.T) {
	f := &fake{types: []uint32{1, 1}}
	f.onBegin = func(conn uint32) error { return ErrorOf(f.send(conn, 1, 1, "state")) }
	c, _ := setup(t, Config{}, f)
	s := c.NewSession()
	s.KeepOpen()
	_, err := s.Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	result := server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	b, err := s.Receive(result)
	require.NoError(t, err)
	require.Empty(t, b)
	b, err = s.Poll()
	require.NoError(t, err)
	require.Empty(t, b)
	wanted := s.Wanted()
	require.Empty(t, wanted)
	require.Equal(t, ResultSuccess, c.RequestHandshakeRetry(f.id, s.ID(), 1))
	require.Len(t, wanted, 1)
	b, err = s.Poll()
	require.NoError(t, err)
	require.Equal(t, pb.CRETRY, decode(t, b).Type)
	b, err = s.Receive(server(t, pb.SRETRY))
	require.NoError(t, err)
	require.Empty(t, b, "it crossed our CRETRY")
	_, err = s.Receive(result)
	require.NoError(t, err)
	b, err = s.Receive(server(t, pb.SRETRY))
	require.NoError(t, err)
	require.Empty(t, b, "nothing goes before the server's SDATA")
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Len(t, decode(t, b).Messages, 1, "what was measured anew")
	b = s.End()
	require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b), "in any state")
	require.Empty(t, s.End())
	require.NoError(t, c.Close())
}

func TestTestsOfServers(t *testing.T) {
	c, _ := setup(t, Config{Tests: Tests{NoSkip: true, Version: 3}}, &fake{})
	s := c.NewSession()
	b, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Equal(t, byte(3), b[0])
	b[0] = 2
	_, err = pb.Parse(b, pb.Server)
	var pe *pb.ProtocolError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, pb.CodeUnsupportedMandatory, pe.Code)
}

// half is a TNC server that decides after one batch.
type half struct {
	t       *testing.T
	state   pb.State
	allowed bool
	got     []pb.Message
}

func (h *half) batch(typ pb.BatchType, ms ...pb.Message) []byte {
	h.state, _ = h.state.Next(pb.Server, typ)
	return server(h.t, typ, ms...)
}
func (h *half) Open() ([]byte, error) { return h.batch(pb.SDATA, pa(1, 1, "who are you?")), nil }
func (h *half) Receive(b []byte) ([]byte, error) {
	x, err := pb.Parse(b, pb.Server)
	if err != nil {
		return nil, err
	}
	h.got = append(h.got, x.Messages...)
	h.state, _ = h.state.Next(pb.Client, x.Type)
	if x.Type == pb.CLOSE {
		return nil, nil
	}
	return h.batch(pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}), nil
}
func (h *half) State() pb.State { return h.state }
func (h *half) Allowed() bool   { return h.allowed }
func (h *half) Close()          { h.state = pb.End }

func client(t *testing.T, typ pb.BatchType, ms ...pb.Message) []byte {
	t.Helper()
	b, err := pb.Batch{Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// The turns of mutual measurement as strongSwan takes them, both ways of ending.
func TestMutual(t *testing.T) {
	for _, clientFirst := range []bool{true, false} {
		for _, allowed := range []bool{true, false} {
			t.Run(fmt.Sprint(clientFirst, allowed), func(t *testing.T) {
				h := &half{t: t, allowed: allowed}
				c, _ := setup(t, Config{Mutual: func(uint32) (Server, error) { return h, nil }}, &fake{types: []uint32{1, 1}})
				s := c.NewSession()
				b, err := s.Begin(0, TransportEAP, "2.0")
				require.NoError(t, err)
				require.Equal(t, pb.MutualCapability{Protocols: pb.MutualHalfDuplex}, decode(t, b).Messages[0])
				result := server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})

				b, err = s.Receive(server(t, pb.SDATA, pb.MutualCapability{Protocols: pb.MutualHalfDuplex}))
				require.NoError(t, err)
				x, err := pb.Parse(b, pb.Client)
				require.NoError(t, err, "the server half opens")
				require.Equal(t, pb.SDATA, x.Type)

				b, err = s.Receive(client(t, pb.CDATA, pa(1, 1, "moon")))
				require.NoError(t, err)
				require.Equal(t, pb.CDATA, decode(t, b).Type, "the client half's turn")

				final := func(b []byte, err error) {
					if !allowed {
						require.ErrorIs(t, err, ErrPeerRefused)
						return
					}
					require.NoError(t, err)
					require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b))
				}
				if clientFirst {
					b, err = s.Receive(result)
					require.NoError(t, err)
					x, err = pb.Parse(b, pb.Client)
					require.NoError(t, err)
					require.Equal(t, pb.RESULT, x.Type, "no CLOSE while the peer is measured")
					final(s.Receive(client(t, pb.CLOSE)))
				} else {
					b, err = s.Receive(server(t, pb.SDATA))
					require.NoError(t, err)
					x, err = pb.Parse(b, pb.Client)
					require.NoError(t, err)
					require.Equal(t, pb.RESULT, x.Type)
					b, err = s.Receive(client(t, pb.CLOSE))
					require.NoError(t, err)
					require.Equal(t, pb.CDATA, decode(t, b).Type, "the client half goes on alone")
					final(s.Receive(result))
				}
				o := s.Outcome()
				require.True(t, o.Mutual)
				require.Equal(t, allowed, o.PeerAllowed)
				require.Equal(t, RecommendAllow, o.Recommendation)
				require.Equal(t, allowed, o.Err == nil)
				require.NoError(t, c.Close())
			})
		}
	}
}

func TestMutualIsNotForced(t *testing.T) {
	never := func(uint32) (Server, error) { return nil, errors.New("not to be made") }
	c, _ := setup(t, Config{Mutual: never}, &fake{})
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "2.0")
	require.NoError(t, err)
	b, err := s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type, "the server does not take part")
	b, err = s.Receive(client(t, pb.CDATA))
	require.NoError(t, err)
	require.Equal(t, pb.CLOSE, decode(t, b).Type, "then its direction is wrong")

	c, _ = setup(t, Config{}, &fake{})
	s = c.NewSession()
	_, err = s.Begin(0, TransportEAP, "2.0")
	require.NoError(t, err)
	b, err = s.Receive(server(t, pb.SDATA, pb.MutualCapability{Protocols: pb.MutualHalfDuplex}))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, decode(t, b).Type, "not proposed, not taken up")
}

// 1,000 connections at once in one process.
func TestThousandConnections(t *testing.T) {
	c, err := NewClient(Config{})
	require.NoError(t, err)
	q := &quiet{}
	require.NoError(t, c.Add("Quiet", q))
	const n = 1000
	all := make([]*Session, n)
	for i := range all {
		all[i] = c.NewSession()
	}
	sdata := server(t, pb.SDATA, pa(2, 2, "ask"))
	result := server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for _, s := range all {
		wg.Go(func() {
			if _, err := s.Begin(0, TransportEAP, "2.0"); err != nil {
				errs <- err
			}
			for range 5 {
				b, err := s.Receive(sdata)
				if err != nil || len(b) != pb.HeaderSize+pb.MessageOverhead+pb.PAOverhead+6 {
					errs <- fmt.Errorf("%d octets, %w", len(b), err)
				}
			}
			if _, err := s.Receive(result); err != nil || !s.Outcome().Allowed() {
				errs <- fmt.Errorf("end: %w", err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	require.NoError(t, c.Close())
}

// quiet is an IMC for several connections at once: it answers every message.
type quiet struct {
	id   uint32
	host TNCC
}

func (q *quiet) Initialize(id uint32, host TNCC) error {
	q.id, q.host = id, host
	return ErrorOf(host.ReportMessageTypesLong(id, []uint32{2}, []uint32{2}))
}
func (q *quiet) NotifyConnectionChange(uint32, ConnectionState) error { return nil }
func (q *quiet) BeginHandshake(uint32) error                          { return nil }
func (q *quiet) ReceiveMessage(conn uint32, m Message) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, []byte("answer"), 2, 2, m.SourceIMV))
}
func (q *quiet) BatchEnding(uint32) error { return nil }
func (q *quiet) Terminate() error         { return nil }
