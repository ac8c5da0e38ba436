package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKinds(t *testing.T) {
	k, err := ParseKind("")
	require.NoError(t, err)
	require.Equal(t, Auto, k)
	k, err = ParseKind("tun")
	require.NoError(t, err)
	require.Equal(t, TUN, k)
	_, err = ParseKind("vpp")
	require.ErrorContains(t, err, `data plane "vpp" is not known`)
}
