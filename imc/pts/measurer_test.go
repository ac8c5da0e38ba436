package pts

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
)

// counted is a Measurer that gives each connection one of its own.
type counted struct {
	connections *int
	measured    int
}

func (c *counted) ForConnection() Measurer {
	*c.connections++
	return &counted{connections: c.connections}
}

func (c *counted) Measure(context.Context, string, bool, HashAlgorithms) ([]MeasuredFile, error) {
	c.measured++
	return []MeasuredFile{{Name: "a", Measurement: []byte{byte(c.measured)}}}, nil
}
func (c *counted) Metadata(context.Context, string, bool) ([]FileMetadata, error) { return nil, nil }
func (c *counted) Symlinks(context.Context, string) ([]patnc.Symlink, error)      { return nil, nil }

// TestMeasurerOfAConnection: what is remembered outlives a new handshake and is
// not shared with another connection.
func TestMeasurerOfAConnection(t *testing.T) {
	connections := 0
	shared := &counted{connections: &connections}
	nth := func(m *Machine) byte {
		out, err := m.Handle(context.Background(), RequestFileMeasurement{Delimiter: '/', Path: "/a"})
		require.NoError(t, err)
		return out[0].Value.(FileMeasurement).Files[0].Measurement[0]
	}
	first, second := NewMachine(Config{Measurer: shared}), NewMachine(Config{Measurer: shared})
	require.Equal(t, 2, connections)
	require.EqualValues(t, 1, nth(first))
	first.Reset()
	require.EqualValues(t, 2, nth(first))
	require.EqualValues(t, 1, nth(second))
	require.Zero(t, shared.measured)
}
