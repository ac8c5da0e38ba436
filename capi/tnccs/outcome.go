package main

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"unsafe"

	"github.com/gotnc/gotnc/tnccs"
)

// outcome returns the outcome of the session with handle n, without waiting for a
// call that works on it.
func outcome(n C.uintptr_t) (tnccs.Outcome, error) {
	s := lookup[session](uintptr(n))
	if s == nil {
		return tnccs.Outcome{}, errNoSession
	}
	return s.tnc.Outcome(), nil
}

//export gotncSessionOutcome
func gotncSessionOutcome(n C.uintptr_t, out *C.gotnc_outcome) (r C.tnccs_result) {
	defer guard(&r, nil)
	o, err := outcome(n)
	if err != nil {
		return result(err, nil)
	}
	*out = C.gotnc_outcome{
		connection_id:     C.uint32_t(o.ConnectionID),
		state:             C.uint32_t(o.State),
		recommendation:    C.uint32_t(o.Recommendation),
		assessment:        C.uint32_t(o.Assessment),
		reasons:           C.uint64_t(len(o.Reasons)),
		remediations:      C.uint64_t(len(o.Remediation)),
		imc_errors:        C.uint64_t(len(o.IMCErrors)),
		batches_sent:      C.uint64_t(o.BatchesSent),
		batches_received:  C.uint64_t(o.BatchesReceived),
		octets_sent:       C.uint64_t(o.BytesSent),
		octets_received:   C.uint64_t(o.BytesReceived),
		messages_sent:     C.uint64_t(o.MessagesSent),
		messages_received: C.uint64_t(o.MessagesReceived),
	}
	if o.Err != nil {
		out.failed = 1
	}
	return C.TNCCS_OK
}

// gift is a string for the program.
type gift struct {
	to   **C.char
	text string
	must bool // also where it is empty
}

// give copies the strings; where there is no memory for one, none is given.
func give(gifts ...gift) C.tnccs_result {
	for i, g := range gifts {
		if g.text == "" && !g.must {
			continue
		}
		if *g.to = text(g.text); *g.to == nil {
			for _, given := range gifts[:i] {
				C.free(unsafe.Pointer(*given.to))
				*given.to = nil
			}
			return C.TNCCS_E_MEMORY
		}
	}
	return C.TNCCS_OK
}

//export gotncSessionReason
func gotncSessionReason(n C.uintptr_t, index C.size_t, reason, language **C.char) (r C.tnccs_result) {
	defer guard(&r, nil)
	o, err := outcome(n)
	if err != nil {
		return result(err, nil)
	}
	if index >= C.size_t(len(o.Reasons)) {
		return C.TNCCS_E_ARGUMENT
	}
	x := o.Reasons[index]
	return give(gift{reason, x.Text, true}, gift{language, x.Language, true})
}

//export gotncSessionRemediation
func gotncSessionRemediation(n C.uintptr_t, index C.size_t, uri, instruction, language **C.char) (r C.tnccs_result) {
	defer guard(&r, nil)
	o, err := outcome(n)
	if err != nil {
		return result(err, nil)
	}
	if index >= C.size_t(len(o.Remediation)) {
		return C.TNCCS_E_ARGUMENT
	}
	x := o.Remediation[index]
	return give(gift{uri, x.URI, false}, gift{instruction, x.Text, false}, gift{language, x.Language, true})
}

//export gotncSessionIMCError
func gotncSessionIMCError(n C.uintptr_t, index C.size_t) (s *C.char) {
	defer guard(new(C.tnccs_result), nil)
	if o, err := outcome(n); err == nil && index < C.size_t(len(o.IMCErrors)) {
		s = text(o.IMCErrors[index].Error())
	}
	return s
}

//export gotncSessionError
func gotncSessionError(n C.uintptr_t) (s *C.char) {
	defer guard(new(C.tnccs_result), nil)
	if o, err := outcome(n); err == nil && o.Err != nil {
		s = text(withRemedy(o.Err).Error())
	}
	return s
}
