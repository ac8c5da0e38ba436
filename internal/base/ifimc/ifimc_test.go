package ifimc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	require.Equal(t, "no common version", ResultName(ResultNoCommonVersion))
	require.Equal(t, "result 0x0000002a", ResultName(42))
	require.Equal(t, "Handshake", ConnectionName(ConnectionHandshake))
	require.Equal(t, "state 6", ConnectionName(6))
	require.Equal(t, "serious event", RetryName(RetrySeriousEvent))
	require.Equal(t, "reason 4", RetryName(4))
	require.Equal(t, "MAX_MESSAGE_SIZE", AttributeName(AttributeMaxMessageSize))
	require.Equal(t, "attribute 0x00000009", AttributeName(9))
}

func TestMessageNames(t *testing.T) {
	require.Equal(t, "'TCG/PTS' 0x005597/0x00000001", MessageName(0x5597, 1))
	require.Equal(t, "'IETF/Operating System' 0x000000/0x00000001", MessageName(0, 1))
	require.Equal(t, "'IETF/(77)' 0x000000/0x0000004d", MessageName(0, 77))
	require.Equal(t, "'(5)' 0x000005/0x00000001", MessageName(5, 1))
}
