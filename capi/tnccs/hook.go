//go:build !gotnc_testhook

package main

// hooked does nothing: only a library for tests, with the build tag
// gotnc_testhook, acts on what is received.
func hooked([]byte) {}
