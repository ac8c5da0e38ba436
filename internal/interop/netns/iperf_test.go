package netns

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReceived(t *testing.T) {
	bits, err := received([]byte(`{"end": {"sum_received": {"bytes": 174143760, "bits_per_second": 347639172.9}}}`))
	require.NoError(t, err)
	require.InDelta(t, 347639172.9, bits, 1)
	for _, report := range []string{
		`{"intervals": [], "end": {}, "error": "unable to connect to server: Connection refused"}`, // exit code 0
		`{"end": {"sum_received": {"bits_per_second": 0}}}`,
		``,
	} {
		_, err := received([]byte(report))
		require.Error(t, err, report)
	}
}
