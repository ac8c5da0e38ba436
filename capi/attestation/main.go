// Command capi is imc-attestation.so: the Attestation IMC behind the C
// interface IF-IMC 1.3 (include/tncifimc.h). `make lib` builds it with
// -buildmode=c-shared.
//
// The border keeps four rules. No Go pointer crosses it: hosts hold integers,
// and get C memory that lives for one call. Every call is checked in C for a
// fork since the load, and in Go recovers what panics, so that an error here
// ends as TNC_RESULT_FATAL and not as the end of the host. No lock is held
// while the host is called. After TNC_IMC_Terminate nothing of the host is used
// any more, and the library is as freshly loaded: Go keeps it mapped, so hosts
// that close and open it again (wpa_supplicant does, for every authentication)
// meet the same memory.
package main

// version is the release, set by the linker.
var version = "unknown"

func main() {}
