package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/attestation"
)

// drainTime is how long TNC_IMC_Terminate waits for calls of other threads
// that are still inside the library. Hosts have none by then.
const drainTime = 5 * time.Second

// instance is the IMC from one TNC_IMC_Initialize to its TNC_IMC_Terminate.
type instance struct {
	imc *attestation.IMC
	id  uint32

	terminated atomic.Bool // Terminate began: the host must not be called

	active  int           // calls inside the library, under imcLibrary.mu
	inHost  int           // those of them that are inside a function of the host
	drained chan struct{} // closed when no call runs in the library after Terminate
}

// enterHost marks that the host is called, until leaveHost is called: the host may
// call TNC_IMC_Terminate from there, which must not wait for the call that it is
// in.
func (in *instance) enterHost() (leaveHost func()) {
	library.mu.Lock()
	in.inHost++
	in.signalDrained()
	library.mu.Unlock()
	return func() {
		library.mu.Lock()
		in.inHost--
		library.mu.Unlock()
	}
}

// signalDrained wakes a waiting Terminate where no call runs in the library itself.
func (in *instance) signalDrained() {
	if in.active <= in.inHost && in.drained != nil {
		close(in.drained)
		in.drained = nil
	}
}

// imcLibrary is the loaded library: not initialised, or one instance. The lock
// is never held while an Agent or the host runs.
type imcLibrary struct {
	mu       sync.Mutex
	starting bool // TNC_IMC_Initialize is under way
	cur      *instance
}

var library imcLibrary

func (l *imcLibrary) initialize(id, lowest, highest uint32) (version uint32, r imc.Result) {
	l.mu.Lock()
	if l.cur != nil || l.starting {
		l.mu.Unlock()
		return 0, imc.ResultAlreadyInitialized
	}
	l.starting = true
	l.mu.Unlock()

	var in *instance
	defer func() { // also on the way of a panic
		l.mu.Lock()
		l.starting = false
		l.cur = in
		l.mu.Unlock()
	}()
	made := newIMC()
	if version, r = made.Initialize(id, lowest, highest); r == imc.ResultSuccess {
		in = &instance{imc: made, id: id}
	} else {
		made.Close()
	}
	return version, r
}

// enter begins a call of the library and returns the instance that it runs on,
// nil where there is none. Every enter that returns one has its leave.
func (l *imcLibrary) enter() *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil {
		l.cur.active++
	}
	return l.cur
}

// leave ends a call of the library.
func (l *imcLibrary) leave(in *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.active--
	in.signalDrained()
}

// terminate returns the library to the state in which it was loaded. No
// function of the host is called once it has returned.
func (l *imcLibrary) terminate(id uint32) imc.Result {
	l.mu.Lock()
	in := l.cur
	if in == nil {
		l.mu.Unlock()
		return imc.ResultNotInitialized
	}
	if in.id != id {
		l.mu.Unlock()
		return imc.ResultInvalidParameter
	}
	l.cur = nil
	in.terminated.Store(true)
	logHost.Store(nil)
	var drained chan struct{}
	if in.active > in.inHost {
		drained = make(chan struct{})
		in.drained = drained
	}
	l.mu.Unlock()

	r := in.imc.Terminate(id) // ends measurements that are under way
	if drained != nil {
		select {
		case <-drained:
		case <-time.After(drainTime):
			logger().Warn("the IMC is terminated while calls of it still run")
		}
	}
	in.imc.Close()
	return r
}
