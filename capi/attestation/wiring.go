package main

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"log/slog"
	"unsafe"

	"github.com/gotnc/gotnc/imc/attestation"
)

// getenv reads the environment as C programs see it; Go's copy was made when the
// library was loaded.
func getenv(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	if v := C.getenv(n); v != nil {
		return C.GoString(v)
	}
	return ""
}

// newIMC reads the configuration, opens the log and returns the IMC of this host.
func newIMC() *attestation.IMC {
	hosted := hostLogger()
	return attestation.New(attestation.Config{
		Version: version,
		Program: C.GoString(C.gotnc_program()),
		Library: C.GoString(C.gotnc_log_library()),
		Getenv:  getenv,
		Logger: func(least slog.Level, quiet bool) *slog.Logger {
			l := hosted
			if l == nil {
				l = stderrLogger(least, quiet)
			}
			current.Store(l)
			return l
		},
		SiblingLoaded: loaded,
		Measurer:      hooked,
	})
}

// loaded reports whether a library of that file name is in this process.
func loaded(file string) bool {
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	return C.gotnc_loaded(name) != 0
}
