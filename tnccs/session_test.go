package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestWholeSession(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	f.onBegin = func(conn uint32) error { return ErrorOf(f.send(conn, 0x5597, 1, "hello")) }
	f.onMsg = func(conn uint32, m Message) error {
		require.Equal(t, ResultSuccess, f.host.SendMessageLong(f.id, conn, FlagExclusive, []byte("evidence"), m.Vendor, m.Subtype, m.SourceIMV))
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

func FuzzReceive(f *testing.F) {
	f.Add([]byte{2, 0x80, 0, 2, 0, 0, 0, 8}, []byte{2, 0x80, 0, 3, 0, 0, 0, 8})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c, err := NewClient(Config{})
		require.NoError(t, err)
		i := &fake{t: t, types: []uint32{AnyVendor, AnySubtype}}
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
