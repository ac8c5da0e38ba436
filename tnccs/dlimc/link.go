package dlimc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// Parent and child talk over a stream socket in frames:
//
//	0          4         5        9    10
//	+----------+---------+--------+----+---------
//	| length   | kind u8 | id u32 | op | payload
//	+----------+---------+--------+----+---------
//
// length counts the octets after it. Both ends ask; an answer carries the id of
// the question, a u32 result and octets.
const (
	maxFrame    = 8 << 20
	frameHeader = 6

	kindAsk    = 1
	kindAnswer = 2
)

// op is the operation that a frame asks for.
type op uint8

// Operations, parent to child.
const (
	opLoad op = iota + 1
	opInitialize
	opNotify
	opBegin
	opReceive
	opEnding
	opTerminate
)

// Operations, child to parent.
const (
	opReportTypes op = iota + 64
	opReportTypesLong
	opRetry
	opSend
	opSendLong
	opGetAttribute
	opSetAttribute
	opReserve
)

var opNames = map[op]string{
	opLoad:       "dlopen",
	opInitialize: "TNC_IMC_Initialize",
	opNotify:     "TNC_IMC_NotifyConnectionChange",
	opBegin:      "TNC_IMC_BeginHandshake",
	opReceive:    "TNC_IMC_ReceiveMessage",
	opEnding:     "TNC_IMC_BatchEnding",
	opTerminate:  "TNC_IMC_Terminate",
}

func (o op) String() string {
	if n, ok := opNames[o]; ok {
		return n
	}
	return fmt.Sprintf("operation %d", uint8(o))
}

var (
	errTimeout = errors.New("no answer in time")
	errFrame   = errors.New("bad frame")
)

// answer is a result with its octets.
type answer struct {
	result tnccs.Result
	data   []byte
}

// link is one end of the socket. ask may be called concurrently.
type link struct {
	conn  net.Conn
	serve func(o op, payload []byte) answer
	// async answers each question in a goroutine; else they are answered in their
	// order of arrival.
	async bool

	wmu sync.Mutex

	mu      sync.Mutex
	next    uint32
	pending map[uint32]chan answer
	err     error         // why the link is down
	down    chan struct{} // closed with err
}

func newLink(conn net.Conn, async bool, serve func(op, []byte) answer) *link {
	return &link{conn: conn, serve: serve, async: async, pending: map[uint32]chan answer{}, down: make(chan struct{})}
}

// fail takes the link down; the first cause is kept.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.down)
	}
}

// cause returns why the link is down, nil while it is up.
func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// run reads frames until the socket ends, and returns the error that ended it.
func (l *link) run() error {
	var head [4]byte
	for {
		if _, err := io.ReadFull(l.conn, head[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n < frameHeader || n > maxFrame {
			return errFrame
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(l.conn, b); err != nil {
			return err
		}
		kind, id, o, payload := b[0], binary.BigEndian.Uint32(b[1:]), op(b[5]), b[frameHeader:]
		switch kind {
		case kindAsk:
			if l.async {
				go l.reply(id, o, payload)
			} else {
				l.reply(id, o, payload)
			}
		case kindAnswer:
			if len(payload) < 4 {
				return errFrame
			}
			l.mu.Lock()
			ch := l.pending[id]
			delete(l.pending, id)
			l.mu.Unlock()
			if ch != nil { // else the question has timed out
				ch <- answer{tnccs.Result(binary.BigEndian.Uint32(payload)), payload[4:]}
			}
		default:
			return errFrame
		}
	}
}

// reply answers a question.
func (l *link) reply(id uint32, o op, payload []byte) {
	a := l.serve(o, payload)
	// A failed write means that the other end has closed the socket: run ends too.
	_ = l.write(kindAnswer, id, o, append(wire.AppendU32(make([]byte, 0, 4+len(a.data)), uint32(a.result)), a.data...))
}

// write sends a frame.
func (l *link) write(kind uint8, id uint32, o op, payload []byte) error {
	if len(payload) > maxFrame-frameHeader {
		return fmt.Errorf("%d octets: %w", len(payload), wire.ErrTooLong)
	}
	b := make([]byte, 0, 4+frameHeader+len(payload))
	b = wire.AppendU32(b, uint32(frameHeader+len(payload)))
	b = append(b, kind)
	b = wire.AppendU32(b, id)
	b = append(append(b, byte(o)), payload...)
	l.wmu.Lock()
	defer l.wmu.Unlock()
	_, err := l.conn.Write(b)
	return err
}

// ask asks the other end and waits for its answer, without a limit if timeout is 0.
func (l *link) ask(o op, payload []byte, timeout time.Duration) (answer, error) {
	ch := make(chan answer, 1)
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return answer{}, l.cause()
	}
	l.next++
	id := l.next
	l.pending[id] = ch
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, id)
		l.mu.Unlock()
	}()
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	// The write blocks while the other end does not read; the socket is closed when
	// the link is taken down, which ends the write.
	wrote := make(chan error, 1)
	go func() { wrote <- l.write(kindAsk, id, o, payload) }()
	for {
		select {
		case err := <-wrote:
			if errors.Is(err, wire.ErrTooLong) {
				return answer{}, err
			}
			wrote = nil // run gets the error of a broken socket
		case a := <-ch:
			return a, nil
		case <-expired:
			return answer{}, errTimeout
		case <-l.down:
			select { // the answer may have come with the end
			case a := <-ch:
				return a, nil
			default:
				return answer{}, l.cause()
			}
		}
	}
}
