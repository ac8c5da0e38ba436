//go:build cgo && unix

package dlimc

import (
	"log/slog"
	"sync"

	"github.com/gotnc/gotnc/tnccs"
)

// seats says whom a library in this process calls. The IMC's ID is all that a
// call names, and each client counts from 1; so where two clients use the same
// number, the library of the second knows itself by another, its local one.
var seats = seatTable{m: map[uint32]seat{}}

type seatTable struct {
	mu sync.RWMutex
	m  map[uint32]seat // by local ID, primary and additional ones
}

type seat struct {
	m    *module
	host tnccs.TNCC
	id   uint32 // what host calls it
}

// take gives m a local ID for id, id itself where it is free; 0 where none is.
func (t *seatTable) take(m *module, id uint32, host tnccs.TNCC) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(id, seat{m, host, id})
}

// put is take with the lock held.
func (t *seatTable) put(id uint32, s seat) uint32 {
	for n, local := uint32(0), id; n < tnccs.AnyIMC; n, local = n+1, local+1 {
		if local %= tnccs.AnyIMC; local == 0 {
			continue
		}
		if _, taken := t.m[local]; !taken {
			t.m[local] = s
			return local
		}
	}
	return 0
}

// add gives the library with the local ID owner another one, for id.
func (t *seatTable) add(owner, id uint32) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.m[owner]
	if !ok {
		return 0
	}
	return t.put(id, seat{s.m, s.host, id})
}

// host returns whom a call under a local ID is for, and the ID there; nil for an
// ID that nobody has.
func (t *seatTable) host(local uint32) (tnccs.TNCC, uint32) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.m[local]
	return s.host, s.id
}

// logger returns the logger of the library with a local ID; nil where there is none.
func (t *seatTable) logger(local uint32) *slog.Logger {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s, ok := t.m[local]; ok {
		return s.m.log
	}
	return nil
}

// primary returns the local primary ID of the library with a local ID.
func (t *seatTable) primary(local uint32) uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s, ok := t.m[local]; ok {
		return s.m.id
	}
	return 0
}

// local returns what the library m calls the ID that a message is addressed to.
// That of another library stays, unless m would take it for its own.
func (t *seatTable) local(m *module, id uint32) uint32 {
	if id == tnccs.AnyIMC {
		return id
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := t.m[id]; s.m == m && s.id == id {
		return id // so it is in a process with one client
	}
	out := id
	for l, s := range t.m {
		switch {
		case s.m == m && s.id == id:
			return l
		case s.m == m && l == id:
			out = tnccs.AnyIMC
		}
	}
	return out
}

// release forgets the IDs of m.
func (t *seatTable) release(m *module) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for local, s := range t.m {
		if s.m == m {
			delete(t.m, local)
		}
	}
}
