package tnccs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

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
	_, err = s.Receive(server(t, pb.CLOSE, pb.Error{Fatal: true, Code: pb.CodeInvalidParameter, Parameters: []byte{0, 0, 0, 8}}))
	require.EqualError(t, err, "received fatal PB-TNC error 'Invalid Parameter' (offset 8 bytes) about our IETF/PB-Language-Preference message")

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
