package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestServerThatSpeaksFirst(t *testing.T) {
	imv := &fakeIMV{send: []pb.PA{pa("who")}}
	s := New(Config{}, imv)
	b, err := s.Open()
	require.NoError(t, err)
	x := parse(t, b)
	require.Equal(t, pb.SDATA, x.Type)
	require.Len(t, x.Messages, 1)
	require.Equal(t, pb.ClientWorking, s.State())
	require.Equal(t, 1, imv.begun)
	_, err = s.Open()
	require.ErrorIs(t, err, ErrEnded)
	imv.result = &Result{Access: pb.AccessAllowed}
	b, err = s.Receive(batch(t, pb.CDATA, pa("me")))
	require.NoError(t, err)
	require.Equal(t, pb.RESULT, parse(t, b).Type)
	require.Equal(t, 1, imv.begun, "once")
	_, err = s.Receive(batch(t, pb.CLOSE))
	require.NoError(t, err)
	require.Equal(t, pb.End, s.State())
	require.True(t, s.Allowed())
}
func TestServerRetry(t *testing.T) {
	imv := &fakeIMV{result: &Result{Access: pb.AccessDenied}}
	s := New(Config{}, imv)
	_, _, err := s.Retry()
	require.ErrorIs(t, err, ErrEnded, "nothing is decided yet")
	b, err := s.Receive(batch(t, pb.CDATA))
	require.NoError(t, err)
	require.Equal(t, pb.RESULT, parse(t, b).Type)
	require.False(t, s.Allowed())

	imv.result, imv.send = nil, []pb.PA{pa("and now?")}
	sretry, sdata, err := s.Retry()
	require.NoError(t, err)
	require.Equal(t, pb.SRETRY, parse(t, sretry).Type)
	require.Len(t, parse(t, sdata).Messages, 1)
	require.Equal(t, pb.ClientWorking, s.State())
	require.Equal(t, 2, imv.begun)
	imv.result = &Result{Access: pb.AccessAllowed}
	b, err = s.Receive(batch(t, pb.CDATA, pa("better")))
	require.NoError(t, err)
	require.Equal(t, pb.RESULT, parse(t, b).Type)
	require.True(t, s.Allowed())
}
