package imclink

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
)

const opBegin, opReceive, opSend Op = 4, 5, 67

// ends returns both ends of a link: the far one as a plain connection.
func ends(t testing.TB, serve func(Op, []byte) Answer) (*Link, net.Conn) {
	near, far := net.Pipe()
	l := New(near, false, serve)
	t.Cleanup(func() { near.Close(); far.Close() })
	return l, far
}

// frame makes one frame.
func frame(kind uint8, id uint32, o Op, payload ...byte) []byte {
	b := wire.AppendU32(nil, uint32(frameHeader+len(payload)))
	b = wire.AppendU32(append(b, kind), id)
	return append(append(b, byte(o)), payload...)
}

func TestLinkAsksAndAnswers(t *testing.T) {
	l, far := ends(t, func(o Op, p []byte) Answer { return Answer{Result: 7, Data: append(p, byte(o))} })
	done := make(chan error, 1)
	go func() { done <- l.Run() }()

	go func() { _, _ = far.Write(frame(kindAsk, 9, opSend, 1, 2)) }()
	got := make([]byte, len(frame(kindAnswer, 9, opSend, 0, 0, 0, 7, 1, 2, byte(opSend))))
	_, err := io.ReadFull(far, got)
	require.NoError(t, err)
	require.Equal(t, frame(kindAnswer, 9, opSend, 0, 0, 0, 7, 1, 2, byte(opSend)), got)

	go func() {
		question := make([]byte, len(frame(kindAsk, 1, opBegin, 5)))
		_, _ = io.ReadFull(far, question)
		if bytes.Equal(question, frame(kindAsk, 1, opBegin, 5)) {
			_, _ = far.Write(frame(kindAnswer, 77, opBegin, 0, 0, 0, 1)) // nobody asked
			_, _ = far.Write(frame(kindAnswer, 1, opBegin, 0, 0, 0, 3, 8))
		}
	}()
	a, err := l.Ask(opBegin, []byte{5}, 0)
	require.NoError(t, err)
	require.Equal(t, Answer{3, []byte{8}}, a)

	go func() { _, _ = io.Copy(io.Discard, far) }()
	_, err = l.Ask(opBegin, nil, time.Millisecond)
	require.ErrorIs(t, err, ErrTimeout)
	_, err = l.Ask(opReceive, make([]byte, MaxFrame), 0)
	require.ErrorIs(t, err, wire.ErrTooLong)
	far.Close()
	require.Error(t, <-done)
	l.Fail(io.ErrClosedPipe)
	_, err = l.Ask(opBegin, nil, 0)
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestLinkRefusesBadFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"short":        {0, 0, 0, frameHeader - 1},
		"long":         wire.AppendU32(nil, MaxFrame+1),
		"huge":         {0xff, 0xff, 0xff, 0xff},
		"kind":         frame(3, 1, opBegin),
		"short answer": frame(kindAnswer, 1, opBegin, 0, 0, 0),
	} {
		l, far := ends(t, nil)
		go func() { _, _ = far.Write(b) }()
		require.ErrorIs(t, l.Run(), ErrFrame, name)
	}
	whole := frame(kindAsk, 1, opSend, 1, 2, 3)
	for n := range whole {
		l, far := ends(t, func(Op, []byte) Answer { panic("served half a frame") })
		go func() { _, _ = far.Write(whole[:n]); far.Close() }()
		require.Error(t, l.Run())
	}
}
