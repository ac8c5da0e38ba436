package main

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"log/slog"
	"sync/atomic"
	"unsafe"

	"github.com/gotnc/gotnc/imc/attestation"
	"github.com/gotnc/gotnc/internal/base/log"
)

// current is the logger of the library since the last TNC_IMC_Initialize.
var current atomic.Pointer[slog.Logger]

func logger() *slog.Logger {
	if l := current.Load(); l != nil {
		return log.Group(l, log.IMC)
	}
	return log.Group(stderrLogger(slog.LevelInfo, false), log.IMC)
}

// hostLogger logs through libstrongswan's logger, where the host runs on it, so
// that charon's log reads as with strongSwan's own IMC, and the host's log
// levels apply. Else it returns nil.
func hostLogger() *slog.Logger {
	if C.gotnc_log_find() == 0 {
		return nil
	}
	return slog.New(log.NewConcurrentHandler(attestation.LevelPrivate, func(r log.Record) {
		group := C.CString(r.Group)
		defer C.free(unsafe.Pointer(group))
		ls := attestation.Lines(r.Text)
		for i, line := range ls {
			message := C.CString(line)
			if r.Octets != nil && i == len(ls)-1 {
				// The host writes them out itself, and only where its level asks for them.
				octets := C.CBytes(r.Octets)
				C.gotnc_log_octets(group, C.int(attestation.Level(r.Level)), message, (*C.uchar)(octets), C.size_t(len(r.Octets)))
				C.free(octets)
			} else {
				C.gotnc_log(group, C.int(attestation.Level(r.Level)), message)
			}
			C.free(unsafe.Pointer(message))
		}
	}))
}

// logHost is the host that takes lines through TNC_9048_LogMessage, from
// TNC_IMC_ProvideBindFunction to TNC_IMC_Terminate.
var logHost atomic.Pointer[host]

// stderrLogger logs to standard error, unless quiet, and to syslog: what
// strongSwan's IMCs do in a host without libstrongswan. A host that offers
// TNC_9048_LogMessage gets the lines in place of standard error.
func stderrLogger(least slog.Level, quiet bool) *slog.Logger {
	return slog.New(log.NewConcurrentHandler(least, func(r log.Record) {
		group := C.CString(r.Group)
		defer C.free(unsafe.Pointer(group))
		for _, line := range attestation.Lines(r.String()) {
			message := C.CString(line)
			switch h := logHost.Load(); {
			case h != nil:
				h.log(r.Level, r.Group, line)
			case !quiet:
				C.gotnc_stderr(group, message)
			}
			C.gotnc_syslog(group, message)
			C.free(unsafe.Pointer(message))
		}
	}))
}
