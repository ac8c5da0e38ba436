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
	require.ErrorIs(t, err, errEnded)
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
