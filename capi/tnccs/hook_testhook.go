//go:build gotnc_testhook

package main

// hooked makes the library panic where a batch asks for it, for capitest. It is
// in no library that ships.
func hooked(batch []byte) {
	if string(batch) == "gotnc-panic" {
		panic("asked for by a test")
	}
}
