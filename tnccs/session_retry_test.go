package tnccs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

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
		if st == ConnectionAccessNone {
			return ErrorOf(f.host.RequestHandshakeRetry(f.id, AnyConnection, 0))
		}
		return nil
	}
	b, err = s.Receive(server(t, pb.RESULT, pb.AssessmentResult{Result: pb.MajorFailure}, pb.AccessRecommendation{Code: pb.AccessDenied}))
	require.NoError(t, err)
	require.Equal(t, pb.Batch{Type: pb.CRETRY, Messages: []pb.Message{pb.PA{Vendor: 0x5597, Subtype: 1, Collector: 1, Validator: 0xffff, Body: []byte("2")}}}, decode(t, b))
	require.Empty(t, s.Wanted(), "the CRETRY is what was wanted")
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
	s.setState(pb.Decided)
	b, err := s.Receive(server(t, pb.SRETRY))
	require.NoError(t, err)
	require.Empty(t, b, "CDATA may not be sent before SDATA")
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Len(t, decode(t, b).Messages, 1)
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
	require.Len(t, decode(t, b).Messages, 1, "the new measurement")
	b = s.End()
	require.Equal(t, pb.Batch{Type: pb.CLOSE}, decode(t, b), "in any state")
	require.Empty(t, s.End())
	require.NoError(t, c.Close())
}
