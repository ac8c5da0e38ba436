package main

import "sync"

// handles maps the numbers that the program holds to clients and sessions. No number
// is used twice.
var handles = handleTable{m: map[uintptr]any{}}

type handleTable struct {
	mu   sync.Mutex
	last uintptr
	m    map[uintptr]any // *client or *session
}

// add returns the number of v, never 0.
func (t *handleTable) add(v any) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.m[t.last] = v
	return t.last
}

// remove takes a number out of use, and reports whether this call did it.
func (t *handleTable) remove(n uintptr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.m[n]
	delete(t.m, n)
	return ok
}

// lookup returns the value with a number, nil if there is none of type T.
func lookup[T any](n uintptr) *T {
	handles.mu.Lock()
	defer handles.mu.Unlock()
	v, _ := handles.m[n].(*T)
	return v
}
