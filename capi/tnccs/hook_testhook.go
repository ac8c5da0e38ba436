//go:build gotnc_testhook

package main

import (
	"runtime"
	"sync/atomic"
)

// hooked acts on batches that ask for it, for capitest. It is in no library that
// ships.
func hooked(batch []byte) {
	switch string(batch) {
	case "gotnc-panic":
		panic("asked for by a test")
	case "gotnc-spin": // no call in it: only SIGURG stops it for a collection
		spinning.Store(true)
		for !collected.Load() {
		}
	case "gotnc-collect":
		for !spinning.Load() {
			runtime.Gosched()
		}
		runtime.GC()
		collected.Store(true)
	}
}

var spinning, collected atomic.Bool
