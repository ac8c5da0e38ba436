//go:build cgo && unix

package dlimc

import (
	"log/slog"
	"sync"

	"github.com/gotnc/gotnc/tnccs"
)

// ids holds the IMC IDs of this process.
var ids = idTable{m: map[uint32]idEntry{}}

// idTable maps the IMC IDs that libraries in this process know, their local IDs,
// to clients. A call of a library names nothing but an IMC ID, and each client
// counts from 1; so where two clients use the same number, the library of the
// second one gets another local ID.
type idTable struct {
	mu sync.RWMutex
	m  map[uint32]idEntry // by local ID, primary and additional ones
}

// idEntry is the meaning of a local ID.
type idEntry struct {
	m    *module
	host tnccs.TNCC
	id   uint32 // of the IMC in host
}

// assign gives m a local ID for id: id itself if it is free, 0 if none is.
func (t *idTable) assign(m *module, id uint32, host tnccs.TNCC) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(id, idEntry{m, host, id})
}

// put enters e under the first free local ID from id on, and returns that; 0 if
// none is free. The mutex is held.
func (t *idTable) put(id uint32, e idEntry) uint32 {
	for n, local := uint32(0), id; n < tnccs.AnyIMC; n, local = n+1, local+1 {
		if local %= tnccs.AnyIMC; local == 0 {
			continue
		}
		if _, taken := t.m[local]; !taken {
			t.m[local] = e
			return local
		}
	}
	return 0
}

// assignMore gives the library with the local ID owner another local ID for id;
// 0 if there is no such library or no free ID.
func (t *idTable) assignMore(owner, id uint32) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.m[owner]
	if !ok {
		return 0
	}
	return t.put(id, idEntry{s.m, s.host, id})
}

// host returns the client that a call with a local ID is for, and the IMC ID in
// it; nil for an ID that is not assigned.
func (t *idTable) host(local uint32) (tnccs.TNCC, uint32) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.m[local]
	return s.host, s.id
}

// logger returns the logger of the library with a local ID, nil if there is none.
func (t *idTable) logger(local uint32) *slog.Logger {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s, ok := t.m[local]; ok {
		return s.m.log
	}
	return nil
}

// primary returns the local primary ID of the library with a local ID.
func (t *idTable) primary(local uint32) uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s, ok := t.m[local]; ok {
		return s.m.id
	}
	return 0
}

// local returns the local ID in the library m for the IMC ID that a message is
// addressed to. That of another library is left as it is, unless it is a local ID
// of m; then AnyIMC is returned.
func (t *idTable) local(m *module, id uint32) uint32 {
	if id == tnccs.AnyIMC {
		return id
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := t.m[id]; s.m == m && s.id == id {
		return id // always, in a process with one client
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

// release removes the IDs of m.
func (t *idTable) release(m *module) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for local, s := range t.m {
		if s.m == m {
			delete(t.m, local)
		}
	}
}
