package client

import "sync"

// watchers are the conversations that wait for the next event. The zero value has
// none.
type watchers struct {
	mu  sync.Mutex
	all map[chan Event]bool
}

// add returns a channel that gets the events from now on, and what ends that.
func (w *watchers) add() (events <-chan Event, remove func()) {
	ch := make(chan Event, 8)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan Event]bool{}
	}
	w.all[ch] = true
	return ch, func() {
		w.mu.Lock()
		delete(w.all, ch)
		w.mu.Unlock()
	}
}

// tell gives an event to all; who does not read misses it.
func (w *watchers) tell(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.all {
		select {
		case ch <- e:
		default:
		}
	}
}
