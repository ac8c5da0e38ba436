// Command tnccs is libtnccs.so: the TNC client of gotnc behind the C interface
// include/tnccs.h. `make lib` builds it with -buildmode=c-shared.
//
// The border keeps the rules of imc-attestation.so (package capi). Programs hold
// numbers, never Go pointers, and own what they are given, in memory of malloc.
// Every call is checked in C (shim.c) for a fork since the load, and in Go
// recovers what panics into TNCCS_E_INTERNAL. The table of handles is all that
// is global.
package main

// version is the release, set by the linker.
var version = "unknown"

func main() {}
