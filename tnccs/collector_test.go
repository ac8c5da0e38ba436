package tnccs

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

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
