package transport

import (
	"context"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike"
)

// workers carry out the Work of a Machine, each in a goroutine, so that nothing
// that takes time holds the loop.
type workers struct {
	ctx     context.Context
	cancel  context.CancelFunc
	results chan ike.Result
	running sync.WaitGroup
}

func newWorkers(ctx context.Context) *workers {
	w := &workers{results: make(chan ike.Result)}
	// What ends ctx ends the IKE_SA, in order; the work ends after it.
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

// start carries one Work out; its Result comes through results.
func (w *workers) start(work ike.Work) {
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		r := work.Do(w.ctx)
		select {
		case w.results <- r:
		case <-w.ctx.Done():
		}
	}()
}

// stop cancels what runs and waits for it up to limit, so that the caller can
// close an EAP method without a race.
func (w *workers) stop(limit time.Duration) {
	w.cancel()
	idle := make(chan struct{})
	go func() {
		w.running.Wait()
		close(idle)
	}()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}
