package tpm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// MaxReply is the longest reply that a transport hands over: what the kernel's
// TPM driver and every TPM use as their buffer's size.
const MaxReply = 4096

// headerLen is the length of the header of commands and replies: u16 tag,
// u32 length, u32 ordinal or response code.
const headerLen = 10

// Retry is how a TPM that answers that it is busy is asked again. The zero
// value waits 2 ms, then twice as long each time up to 500 ms, for 10 s in all.
type Retry struct {
	First, Longest, Total time.Duration
	// Sleep waits; nil waits by the clock until the context ends.
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

// conn sends commands over a transport, one at a time, asks a busy TPM again
// and checks the frame of every reply.
type conn struct {
	mu     sync.Mutex // held over a whole operation, several commands
	t      Transport
	retry  Retry
	gen    Generation
	closed bool
}

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.t.Close()
}

// send exchanges one command and returns the reply whole, its response code
// checked. Name is the command's, for errors.
func (c *conn) send(ctx context.Context, name string, command []byte) ([]byte, error) {
	if c.closed {
		return nil, fmt.Errorf("%s: %w: closed", name, ErrGone)
	}
	wait, waited := c.retry.First, time.Duration(0)
	for {
		reply, err := c.t.Exchange(ctx, command)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		code, err := replyCode(reply)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if code == 0 {
			return reply, nil
		}
		re := &ResponseError{Generation: c.gen, Code: code, Command: name}
		if !errors.Is(re, ErrBusy) || waited >= c.retry.Total {
			return nil, re
		}
		if c.gen == TPM12 && code == rc12NeedsSelftest {
			// TPM Main Part 1 §9.2: the TPM tests itself and answers DOING_SELFTEST meanwhile
			if _, err := c.t.Exchange(ctx, command12(ordContinueSelfTest, nil)); err != nil {
				return nil, fmt.Errorf("TPM_ContinueSelfTest: %w", err)
			}
		}
		if err := c.retry.Sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("%w: %w", re, err)
		}
		waited += wait
		wait = min(2*wait, c.retry.Longest)
	}
}

// replyCode checks the header of a reply and returns its response code.
func replyCode(reply []byte) (uint32, error) {
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

// replyError makes a malformed reply's error.
func replyError(name string, err error) error { return fmt.Errorf("%s: %w: %w", name, ErrReply, err) }
