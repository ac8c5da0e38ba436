package tnccs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestSendWindowAndLimits(t *testing.T) {
	f := &fake{types: []uint32{0x5597, 1}}
	var out []Result
	f.onNotify = func(conn uint32, st ConnectionState) error {
		out = append(out, f.send(conn, 0x5597, 1, "x"))
		return nil
	}
	f.onBegin = func(conn uint32) error {
		require.Equal(t, ResultExceededMaxMessageSize, f.send(conn, 0x5597, 1, strings.Repeat("x", 969)))
		require.Equal(t, ResultInvalidParameter, f.send(conn, AnyVendor, 1, "x"))
		require.Equal(t, ResultInvalidParameter, f.send(conn, 1, AnySubtype, "x"))
		require.Equal(t, ResultInvalidParameter, f.send(conn+1, 1, 1, "x"))
		require.Equal(t, ResultInvalidParameter, f.host.SendMessage(99, conn, nil, 1))
		for range 3 {
			require.Equal(t, ResultSuccess, f.send(conn, 0x5597, 1, strings.Repeat("x", 968)))
		}
		return nil
	}
	c, _ := setup(t, Config{MaxBatchSize: 5000}, f)
	s := c.NewSession()
	b, err := s.Begin(1000, TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, decode(t, b).Messages, 1, "the language alone: the message fills a batch")
	for range 3 {
		require.Equal(t, ResultIllegalOperation, f.send(s.ID(), 0x5597, 1, "x"))
		b, err = s.Receive(server(t, pb.SDATA))
		require.NoError(t, err)
		require.Len(t, b, 1000)
	}
	b, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	require.Len(t, b, 8)
	require.Equal(t, []Result{ResultIllegalOperation, ResultIllegalOperation}, out)
	// A flood is stopped.
	f.onEnd = func(conn uint32) error {
		for i := 0; ; i++ {
			if r := f.send(conn, 1, 1, "x"); r != ResultSuccess {
				require.Equal(t, ResultOther, r)
				require.Equal(t, MaxQueuedMessages, i)
				return nil
			}
		}
	}
	_, err = s.Receive(server(t, pb.SDATA))
	require.NoError(t, err)
	_, err = c.NewSession().Begin(100, TransportEAP, "1.1")
	require.ErrorContains(t, err, "too small")
}

func TestDefaultMessageSizes(t *testing.T) {
	c, _ := setup(t, Config{}, &fake{})
	for _, tt := range []struct {
		proto string
		max   int
		want  uint32
	}{{TransportEAP, 0, 65490}, {TransportTLS, 0, 2097104}, {TransportEAP, 1 << 30, 65490}, {TransportEAP, 1032, 1000}} {
		s := c.NewSession()
		_, err := s.Begin(tt.max, tt.proto, "2.0")
		require.NoError(t, err)
		v, _ := c.GetAttribute(1, s.ID(), AttributeMaxMessageSize)
		require.Equal(t, u32(tt.want), v)
	}
}
