package main

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// failure is an error with the code that the program gets for it.
type failure struct {
	code C.tnccs_result
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code C.tnccs_result, err error) error { return &failure{code, err} }

var (
	errNoClient  = fail(C.TNCCS_E_HANDLE, errors.New("this is no client, or it was destroyed"))
	errNoSession = fail(C.TNCCS_E_HANDLE, errors.New("this is no session, or it was destroyed"))
	errMemory    = fail(C.TNCCS_E_MEMORY, errors.New("there is no memory for the result"))
)

// result returns the code of err for the program, and its sentence in *out.
func result(err error, out **C.char) C.tnccs_result {
	if err == nil {
		return C.TNCCS_OK
	}
	if out != nil {
		*out = text(err.Error())
	}
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return C.TNCCS_E_INTERNAL
}

// withRemedy adds to an error what the user of the program can do about it.
func withRemedy(err error) error {
	var load *dlimc.LoadError
	var binding *tnccs.BindingError
	switch {
	case errors.As(err, &load) && load.Detail == "" && errors.Is(err, dlimc.ErrNotFound):
		load.Detail = "install it or correct the path"
	case errors.As(err, &load) && errors.Is(err, dlimc.ErrUnsafe):
		load.Detail += ": give it to root, or set opts->allow_writable"
	case errors.As(err, &load) && load.Detail == "" && load.Helper != "":
		load.Detail = "is " + load.Helper + " the tnc of this release?"
	case errors.As(err, &binding):
		return fmt.Errorf("%w: set the same protocol on both", err)
	}
	return err
}

// guard turns a panic of the function that defers it into TNCCS_E_INTERNAL.
func guard(r *C.tnccs_result, out **C.char) {
	if p := recover(); p != nil {
		*r = result(fmt.Errorf("the library failed: %v\n%s", p, debug.Stack()), out)
	}
}

// text copies s for the program; nil where there is no memory.
func text(s string) *C.char { return (*C.char)(octets([]byte(s))) }

// octets copies b for the program; nil where there is no memory.
func octets(b []byte) unsafe.Pointer {
	return C.gotnc_copy(unsafe.Pointer(unsafe.SliceData(b)), C.size_t(len(b)))
}
