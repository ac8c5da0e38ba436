package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestServerRetry(t *testing.T) {
	imv := &fakeIMV{result: &Result{Access: pb.AccessDenied}}
	s := New(Config{}, imv)
	_, _, err := s.Retry()
	require.ErrorIs(t, err, errEnded, "nothing is decided yet")
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
