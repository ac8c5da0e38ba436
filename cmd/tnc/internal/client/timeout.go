package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TimeoutError is a command that came to no outcome within its time.
type TimeoutError struct {
	After time.Duration
	Last  error // what had gone wrong until then; nil = nothing
}

func (e *TimeoutError) Error() string {
	s := fmt.Sprintf("no outcome within %v, the time of --timeout", e.After)
	if e.Last != nil {
		s += ": " + e.Last.Error()
	}
	return s
}

func (e *TimeoutError) Unwrap() error { return e.Last }

// WithTimeout returns a context that a *TimeoutError ends after d, unless met is
// called before; d = 0 is no limit.
func WithTimeout(ctx context.Context, d time.Duration) (limited context.Context, met func()) {
	if d == 0 {
		return ctx, func() {}
	}
	limited, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(d, func() { cancel(&TimeoutError{After: d}) })
	return limited, func() { t.Stop() }
}

// TimedOut returns the *TimeoutError that ended ctx in place of err, what came of
// that.
func TimedOut(ctx context.Context, err error) error {
	var timeout *TimeoutError
	if err == nil || !errors.As(context.Cause(ctx), &timeout) {
		return err
	}
	if again := new(TimeoutError); errors.As(err, &again) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return timeout
	}
	return &TimeoutError{timeout.After, err}
}
