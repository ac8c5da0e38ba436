package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// MaxReply is the length in octets of the longest reply: the size of the
// buffer of the kernel's TPM driver and of every TPM.
const MaxReply = 4096

// HeaderLen is the length of the header of commands and replies: u16 tag,
// u32 length, u32 ordinal or response code.
const HeaderLen = 10

// Transport carries one command to a TPM and returns its whole reply. It is
// used by one goroutine at a time. A context that ends during an exchange
// leaves the TPM busy: the transport is then of no more use and every further
// exchange fails with ErrGone.
type Transport interface {
	Exchange(ctx context.Context, command []byte) (reply []byte, err error)
	Close() error
}

// Retry says how a TPM that answers that it is busy is asked again. The zero
// value waits 2 ms, then twice as long each time up to 500 ms, for 10 s in all.
type Retry struct {
	First, Longest, Total time.Duration
	// Sleep waits for d or until the context ends; nil uses the clock.
	Sleep func(ctx context.Context, d time.Duration) error
}

func (r Retry) withDefaults() Retry {
	if r.First <= 0 {
		r.First = 2 * time.Millisecond
	}
	if r.Longest <= 0 {
		r.Longest = 500 * time.Millisecond
	}
	if r.Total <= 0 {
		r.Total = 10 * time.Second
	}
	if r.Sleep == nil {
		r.Sleep = sleep
	}
	return r
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Dialect is what a Conn has to know of the generation of its TPM.
type Dialect struct {
	// Explain returns the meaning of a response code. A code whose cause is
	// ErrBusy makes the Conn send the command again.
	Explain func(code uint32) Meaning
	// Unblock is called with the code of a busy TPM before the wait, and may
	// exchange a command that makes the TPM ready; nil does nothing.
	Unblock func(ctx context.Context, t Transport, code uint32) error
}

// Conn sends commands over a transport. An operation of several commands holds
// the Conn: see Acquire.
type Conn struct {
	mu      sync.Mutex // held during an operation
	t       Transport
	retry   Retry
	dialect Dialect
	closed  bool
}

// NewConn returns a Conn that owns the transport.
func NewConn(t Transport, r Retry, d Dialect) *Conn {
	return &Conn{t: t, retry: r.withDefaults(), dialect: d}
}

// Acquire waits until no other operation uses the Conn and returns the function
// that releases it.
func (c *Conn) Acquire() (release func()) {
	c.mu.Lock()
	return c.mu.Unlock
}

// Close closes the transport. Closing again does nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.t.Close()
}

// Send exchanges one command and returns the whole reply, whose response code
// is success: any other code is a *ResponseError. Name is the command's, for
// errors. The caller holds the Conn.
func (c *Conn) Send(ctx context.Context, name string, command []byte) ([]byte, error) {
	if c.closed {
		return nil, fmt.Errorf("%s: %w: closed", name, ErrGone)
	}
	wait, waited := c.retry.First, time.Duration(0)
	for {
		reply, err := c.t.Exchange(ctx, command)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		code, err := ReplyCode(reply)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if code == 0 {
			return reply, nil
		}
		re := &ResponseError{Command: name, Code: code, Meaning: c.dialect.Explain(code)}
		if !errors.Is(re, ErrBusy) || waited >= c.retry.Total {
			return nil, re
		}
		if c.dialect.Unblock != nil {
			if err := c.dialect.Unblock(ctx, c.t, code); err != nil {
				return nil, err
			}
		}
		if err := c.retry.Sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("%w: %w", re, err)
		}
		waited += wait
		wait = min(2*wait, c.retry.Longest)
	}
}

// ReplyCode checks the header of a reply and returns its response code.
func ReplyCode(reply []byte) (uint32, error) {
	r := wire.NewReader("TPM reply", reply)
	r.U16()
	n := r.U32()
	code := r.U32()
	if r.Err() == nil && (uint64(n) != uint64(len(reply)) || len(reply) > MaxReply) {
		r.Fail(2, wire.ErrLength)
	}
	if err := r.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrReply, err)
	}
	return code, nil
}
