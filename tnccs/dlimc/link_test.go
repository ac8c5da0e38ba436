package dlimc

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// ends returns both ends of a link: the far one as a plain connection.
func ends(t testing.TB, serve func(op, []byte) answer) (*link, net.Conn) {
	near, far := net.Pipe()
	l := newLink(near, false, serve)
	t.Cleanup(func() { near.Close(); far.Close() })
	return l, far
}

// frame makes one frame.
func frame(kind uint8, id uint32, o op, payload ...byte) []byte {
	b := wire.AppendU32(nil, uint32(frameHeader+len(payload)))
	b = wire.AppendU32(append(b, kind), id)
	return append(append(b, byte(o)), payload...)
}

func TestLinkAsksAndAnswers(t *testing.T) {
	l, far := ends(t, func(o op, p []byte) answer { return answer{result: 7, data: append(p, byte(o))} })
	done := make(chan error, 1)
	go func() { done <- l.run() }()

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
	a, err := l.ask(opBegin, []byte{5}, 0)
	require.NoError(t, err)
	require.Equal(t, answer{3, []byte{8}}, a)

	go func() { _, _ = io.Copy(io.Discard, far) }()
	_, err = l.ask(opBegin, nil, time.Millisecond)
	require.ErrorIs(t, err, errTimeout)
	_, err = l.ask(opReceive, make([]byte, maxFrame), 0)
	require.ErrorIs(t, err, wire.ErrTooLong)
	far.Close()
	require.Error(t, <-done)
	l.fail(ErrCrashed)
	_, err = l.ask(opBegin, nil, 0)
	require.ErrorIs(t, err, ErrCrashed)
}

func TestLinkRefusesBadFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"short":        {0, 0, 0, frameHeader - 1},
		"long":         wire.AppendU32(nil, maxFrame+1),
		"huge":         {0xff, 0xff, 0xff, 0xff},
		"kind":         frame(3, 1, opBegin),
		"short answer": frame(kindAnswer, 1, opBegin, 0, 0, 0),
	} {
		l, far := ends(t, nil)
		go func() { _, _ = far.Write(b) }()
		require.ErrorIs(t, l.run(), errFrame, name)
	}
	whole := frame(kindAsk, 1, opSend, 1, 2, 3)
	for n := range whole {
		l, far := ends(t, func(op, []byte) answer { panic("served half a frame") })
		go func() { _, _ = far.Write(whole[:n]); far.Close() }()
		require.Error(t, l.run())
	}
}

// silent is an IMC that starts and answers nothing else.
type silent struct{ notInitialized }

func (silent) Initialize(uint32, tnccs.TNCC) error { return nil }

// The calls of a child that is in the hands of somebody else.
func FuzzServeChild(f *testing.F) {
	for o := opReportTypes; o <= opReserve+1; o++ {
		f.Add(byte(o), u32s(0, 1, 1, 0, 0, 0x902a, 1, 0xffff))
		f.Add(byte(o), []byte{0, 0, 0})
	}
	client, err := tnccs.NewClient(tnccs.Config{})
	if err != nil {
		f.Fatal(err)
	}
	if err := client.Add("silent", silent{}); err != nil {
		f.Fatal(err)
	}
	if _, err := client.NewSession().Begin(0, tnccs.TransportEAP, "1.1"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, o byte, payload []byte) {
		c := &remote{host: client, log: imcLogger(nil), lines: &lines{deaf: true}}
		if a := c.serve(op(o), payload); a.result == tnccs.ResultFatal {
			t.Fatal("it panicked")
		}
	})
}
