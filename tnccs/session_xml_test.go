package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/xml"
)

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
			f.host.SendMessageLong(f.id, conn, 0, []byte("x"), 1, 0x100, AnyIMV), f.send(conn, 1, 1, string(make([]byte, 45001))))
		for a, want := range map[AttributeID]string{
			AttributeMaxMessageSize: string(u32(45000)), AttributeHasLongTypes: "\x00", AttributeHasExclusive: "\x00",
			AttributeIFTNCCSProtocol: "IF-TNCCS\x00", AttributeIFTNCCSVersion: "1.1\x00", AttributeIFTVersion: "1.1\x00",
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
	require.Equal(t, Message{Vendor: 0x5597, Subtype: 1, SourceIMV: 0, DestIMC: AnyIMC, Data: []byte("ask")}, got)
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
	b, err := c.NewSession().Begin(0, TransportTLS, "2.0")
	require.NoError(t, err)
	require.Equal(t, byte(2), b[0], "PT-TLS carries PB-TNC only")
	b, err = c.NewSession().Begin(0, TransportEAP, "2.0")
	require.NoError(t, err)
	require.Equal(t, byte('<'), b[0], "in PT-EAP the setting counts, as in strongSwan")
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
