package measure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Bounds that hold for the whole process.
const (
	maxAbandoned = 64                     // requests that a file system keeps from ending
	grace        = 250 * time.Millisecond // for a request that ran out of time to end by itself
	maxLines     = 16                     // of log about single files of one directory
)

var (
	abandoned atomic.Int64
	// slots bounds the workers, and so the buffers, of all requests together.
	slots = make(chan struct{}, 2*runtime.NumCPU())
)

// Errors of a request that went beyond what it may cost. All wrap
// pts.ErrInvalidPath: the verifier is answered, and the log says why.
var (
	ErrTooManyFiles = fmt.Errorf("%w: directory holds more files than one request may ask for", pts.ErrInvalidPath)
	ErrTooMuch      = fmt.Errorf("%w: more octets than one request may ask for", pts.ErrInvalidPath)
	ErrTooSlow      = fmt.Errorf("%w: takes longer than one request may", pts.ErrInvalidPath)
	ErrStuck        = fmt.Errorf("%w: earlier requests still wait for a file system that does not answer", pts.ErrInvalidPath)
)

// request is the work of one call.
type request struct {
	ctx    context.Context
	limits Limits
	policy Policy
	log    *slog.Logger // PTS
	cache  *cache
	left   atomic.Int64 // octets that may still be read

	mu      sync.Mutex
	slots   []*slot
	lines   int               // of log about single files
	devices map[uint64]string // what kernelFile said of a device

	namesOnce sync.Once
	names     *otherNames // of otherNames
}

// slot is the right to run a worker. The request can give it back while the
// worker hangs in the kernel.
type slot struct{ held atomic.Bool }

func (s *slot) release() {
	if s.held.CompareAndSwap(true, false) {
		<-slots
	}
}

// acquire waits for a slot, or with try only looks for one.
func (r *request) acquire(try bool) (*slot, error) {
	if try {
		select {
		case slots <- struct{}{}:
		default:
			return nil, nil
		}
	} else {
		select {
		case slots <- struct{}{}:
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		}
	}
	s := new(slot)
	s.held.Store(true)
	r.mu.Lock()
	r.slots = append(r.slots, s)
	r.mu.Unlock()
	return s, nil
}

func (r *request) releaseAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		s.release()
	}
}

// run does work within the limits. Work that hangs in a system call (a network
// file system whose server is gone) is left behind and counted; it ends when the
// call does.
func run[T any](ctx context.Context, f Files, work func(*request) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	if abandoned.Load() >= maxAbandoned {
		return none, ErrStuck
	}
	r := &request{limits: f.Limits.withDefaults(), policy: f.Policy, log: f.logger(), cache: f.cache, devices: map[uint64]string{}}
	r.left.Store(r.limits.MaxBytes)
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(ctx, r.limits.Timeout)
	defer cancel()

	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() { done <- o }()
		defer recovered(&o.err)
		o.value, o.err = work(r)
	}()
	var o outcome
	select {
	case o = <-done:
	case <-r.ctx.Done():
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case o = <-done:
		case <-timer.C:
			o.err = r.ctx.Err()
			abandoned.Add(1)
			r.releaseAll()
			go func() {
				<-done
				abandoned.Add(-1)
			}()
		}
	}
	if errors.Is(o.err, context.DeadlineExceeded) {
		o.err = fmt.Errorf("%w (measure_max_seconds = %v): %w", ErrTooSlow, r.limits.Timeout.Seconds(), o.err)
	}
	if o.err != nil {
		return none, o.err
	}
	return o.value, nil
}

// recovered turns a panic of a goroutine into an error: it would end the host.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("measure: panic: %v", p)
	}
}

// permits checks an object that was found against the policy, under the path
// where it lies, as a file of the kernel, and under its other names.
func (r *request) permits(n *node) error {
	if err := r.policy.Check(n.path); err != nil {
		return err
	}
	dev := uint64(n.stat.Dev)
	r.mu.Lock()
	dir, ok := r.devices[dev]
	r.mu.Unlock()
	if !ok {
		var err error
		if dir, err = n.kernelFile(); err != nil {
			return err
		}
		r.mu.Lock()
		r.devices[dev] = dir
		r.mu.Unlock()
	}
	if dir == "" {
		return r.permitsOtherNames(n)
	}
	if within(n.path, dir) {
		return nil
	}
	if err := r.policy.Check(dir); err != nil {
		return fmt.Errorf("a file of the kernel, as below %s: %w", dir, err)
	}
	return nil
}

// skipped logs why a file of a directory is not measured.
func (r *request) skipped(dir, name string, err error) {
	r.mu.Lock()
	r.lines++
	n := r.lines
	r.mu.Unlock()
	path := quote(dir + "/" + name)
	switch {
	case n > maxLines:
	case errors.Is(err, ErrRefused):
		log.Infof(r.log, "  file %s is not measured: %v", path, err)
	default:
		log.Infof(r.log, "  file %s can not be opened, %v", path, err)
	}
}

// summary logs how many files were left out beyond those that have a line each.
func (r *request) summary(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines > maxLines {
		log.Infof(r.log, "  and %d more files of %s are not measured", r.lines-maxLines, quote(dir))
	}
}
