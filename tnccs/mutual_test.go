package tnccs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// half is a TNC server that decides after one batch.
type half struct {
	t       *testing.T
	state   pb.State
	allowed bool
	// undecided makes it ask on for ever.
	undecided bool
	got       []pb.Message
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
	if h.undecided {
		return h.batch(pb.SDATA), nil
	}
	return h.batch(pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}), nil
}

func (h *half) State() pb.State { return h.state }

func (h *half) Allowed() bool { return h.allowed }

func (h *half) Close() { h.state = pb.End }

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

// A peer that agreed to be measured, or has to be, cannot do without.
func TestPeerThatIsNotMeasured(t *testing.T) {
	result := server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	agreed := server(t, pb.SDATA, pb.MutualCapability{Protocols: pb.MutualHalfDuplex})
	begin := func(cfg Config) (*Session, *half) {
		h := &half{t: t, allowed: true}
		cfg.Mutual = func(uint32) (Server, error) { return h, nil }
		c, _ := setup(t, cfg, &fake{types: []uint32{1, 1}})
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		s := c.NewSession()
		_, err := s.Begin(0, TransportEAP, "2.0")
		require.NoError(t, err)
		return s, h
	}

	// It need not take part.
	s, _ := begin(Config{})
	require.NoError(t, s.PeerVerdict())
	_, err := s.Receive(result)
	require.NoError(t, err)
	require.NoError(t, s.PeerVerdict())

	// It has to.
	s, _ = begin(Config{MutualRequired: true})
	require.ErrorIs(t, s.PeerVerdict(), ErrPeerUnmeasured, "also before anything is decided")
	b, err := s.Receive(result)
	require.ErrorIs(t, err, ErrPeerUnmeasured)
	require.Empty(t, b)
	require.ErrorIs(t, s.Outcome().Err, ErrPeerUnmeasured)
	require.False(t, s.Outcome().Allowed())
	_, err = NewClient(Config{MutualRequired: true})
	require.ErrorContains(t, err, "required")

	// It agreed, and goes on without.
	s, h := begin(Config{})
	h.allowed, h.undecided = false, true
	_, err = s.Receive(agreed)
	require.NoError(t, err)
	require.ErrorIs(t, s.PeerVerdict(), ErrPeerUnmeasured)
	_, err = s.Receive(client(t, pb.CDATA))
	require.NoError(t, err)
	_, err = s.Receive(result)
	require.NoError(t, err, "its own measurement may still come")
	require.ErrorIs(t, s.PeerVerdict(), ErrPeerUnmeasured)
	_, err = s.Receive(server(t, pb.CLOSE))
	require.ErrorIs(t, err, ErrPeerUnmeasured)
	require.False(t, s.Outcome().Allowed())

	// Its measurement decides.
	for _, allowed := range []bool{true, false} {
		s, h = begin(Config{MutualRequired: true})
		h.allowed = false
		_, err = s.Receive(agreed)
		require.NoError(t, err)
		h.allowed = allowed
		_, err = s.Receive(client(t, pb.CDATA, pa(1, 1, "moon")))
		require.NoError(t, err)
		if allowed {
			require.NoError(t, s.PeerVerdict())
		} else {
			require.ErrorIs(t, s.PeerVerdict(), ErrPeerRefused)
		}
	}
}
