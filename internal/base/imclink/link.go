// Package imclink is the socket between a TNC client and a process that holds an IMC
// for it: frames with questions and answers. Who speaks over it defines the
// operations: tnccs/dlimc for IMCs of tnc, cmd/tnc/internal/imchost for
// imc-attestation-stub.so.
package imclink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
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
	// MaxFrame bounds what length counts, in octets.
	MaxFrame    = 8 << 20
	frameHeader = 6

	kindAsk    = 1
	kindAnswer = 2
	kindTell   = 3 // has no answer; only a process that holds an IMC tells
)

// Op is an operation that a frame asks for.
type Op uint8

// Errors of a Link.
var (
	// ErrTimeout is the error of Ask where no answer comes in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrFrame is the error of a socket on which comes what is no frame.
	ErrFrame = errors.New("bad frame")
)

// Answer is a TNC_Result with the octets that come with it.
type Answer struct {
	Result uint32
	Data   []byte
}

// Link is one end of the socket. Ask may be called concurrently.
type Link struct {
	conn  net.Conn
	serve func(o Op, payload []byte) Answer
	// async answers each question in a goroutine; else they are answered in their
	// order of arrival.
	async bool

	wmu sync.Mutex

	mu      sync.Mutex
	next    uint32
	pending map[uint32]chan Answer
	err     error         // why the link is down
	down    chan struct{} // closed with err
}

// New returns a Link over conn, which the caller closes. serve answers the questions
// of the other end, each in a goroutine if async is set, else in their order.
func New(conn net.Conn, async bool, serve func(Op, []byte) Answer) *Link {
	return &Link{conn: conn, serve: serve, async: async, pending: map[uint32]chan Answer{}, down: make(chan struct{})}
}

// Fail takes the link down; the first cause is kept.
func (l *Link) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.down)
	}
}

// Cause returns why the link is down, nil while it is up.
func (l *Link) Cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Run reads frames until the socket ends, and returns the error that ended it.
func (l *Link) Run() error {
	var head [4]byte
	for {
		if _, err := io.ReadFull(l.conn, head[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n < frameHeader || n > MaxFrame {
			return ErrFrame
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(l.conn, b); err != nil {
			return err
		}
		kind, id, o, payload := b[0], binary.BigEndian.Uint32(b[1:]), Op(b[5]), b[frameHeader:]
		switch kind {
		case kindAsk:
			if l.async {
				go l.reply(id, o, payload)
			} else {
				l.reply(id, o, payload)
			}
		case kindAnswer:
			if len(payload) < 4 {
				return ErrFrame
			}
			l.mu.Lock()
			ch := l.pending[id]
			delete(l.pending, id)
			l.mu.Unlock()
			if ch != nil { // else the question has timed out
				ch <- Answer{binary.BigEndian.Uint32(payload), payload[4:]}
			}
		default:
			return ErrFrame
		}
	}
}

// reply answers a question.
func (l *Link) reply(id uint32, o Op, payload []byte) {
	a := l.serve(o, payload)
	// A failed write means that the other end has closed the socket: run ends too.
	_ = l.write(kindAnswer, id, o, append(wire.AppendU32(make([]byte, 0, 4+len(a.Data)), a.Result), a.Data...))
}

// Tell sends what has no answer.
func (l *Link) Tell(o Op, payload []byte) error { return l.write(kindTell, 0, o, payload) }

// write sends a frame.
func (l *Link) write(kind uint8, id uint32, o Op, payload []byte) error {
	if len(payload) > MaxFrame-frameHeader {
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

// Ask asks the other end and waits for its answer, without a limit if timeout is 0.
func (l *Link) Ask(o Op, payload []byte, timeout time.Duration) (Answer, error) {
	ch := make(chan Answer, 1)
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return Answer{}, l.Cause()
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
				return Answer{}, err
			}
			wrote = nil // run gets the error of a broken socket
		case a := <-ch:
			return a, nil
		case <-expired:
			return Answer{}, ErrTimeout
		case <-l.down:
			select { // the answer may have come with the end
			case a := <-ch:
				return a, nil
			default:
				return Answer{}, l.Cause()
			}
		}
	}
}
