package main

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"log/slog"
	"strings"
	"sync"
	"unsafe"

	"github.com/gotnc/gotnc/internal/base/log"
)

// logLevels are the levels of tnccs_log_level, by their numbers.
var logLevels = [...]slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, log.LevelDetail, slog.LevelDebug}

// logLevel returns the number of the level that l counts as.
func logLevel(l slog.Level) int {
	for n, least := range logLevels {
		if l >= least {
			return n
		}
	}
	return len(logLevels) - 1
}

// sink is the program's log function. The zero value discards.
type sink struct {
	mu   sync.Mutex // held while f runs
	f    C.tnccs_log_function
	data C.uintptr_t // may be any number: never a pointer to Go
}

// logger returns a logger to s, of lines of at most the level highest; nil if s
// discards.
func (s *sink) logger(highest int) *slog.Logger {
	if s.f == nil {
		return nil
	}
	return slog.New(log.NewConcurrentHandler(logLevels[highest], s.write))
}

func (s *sink) write(r log.Record) {
	group := C.CString(r.Group)
	defer C.free(unsafe.Pointer(group))
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimRight(r.String(), "\n"), "\n") {
		if s.f == nil {
			return
		}
		text := C.CString(line)
		C.gotnc_call_log(s.f, s.data, C.int(logLevel(r.Level)), group, text)
		C.free(unsafe.Pointer(text))
	}
}

// close makes s discard; the function is not called after it has returned.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f = nil
}
