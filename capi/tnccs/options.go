package main

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"time"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// settings are tnccs_options in Go's types.
type settings struct {
	tncConfig string // "": no IMC
	client    tnccs.Config
	imc       dlimc.Config
}

// readOptions reads what the program wants; the strings are copied.
func readOptions(o *C.tnccs_options) (settings, error) {
	s := settings{tncConfig: dlimc.DefaultTNCConfig}
	if o.tnc_config != nil {
		s.tncConfig = C.GoString(o.tnc_config)
	}
	s.client.PreferredLanguage = C.GoString(o.language)
	s.client.Protocol = tnccs.Protocol(C.GoString(o.protocol))
	switch o.imc_mode {
	case C.TNCCS_IMC_CHILD:
	case C.TNCCS_IMC_IN_PROCESS:
		s.imc.InProcess = true
	default:
		return s, fail(C.TNCCS_E_ARGUMENT, fmt.Errorf("opts->imc_mode is %d: use TNCCS_IMC_CHILD or TNCCS_IMC_IN_PROCESS", o.imc_mode))
	}
	if o.log_level > C.TNCCS_LOG_DEBUG {
		return s, fail(C.TNCCS_E_ARGUMENT, fmt.Errorf("opts->log_level is %d: TNCCS_LOG_DEBUG is the highest", o.log_level))
	}
	s.imc.CallTimeout = time.Duration(o.call_timeout_ms) * time.Millisecond
	s.imc.Env = environment(C.GoString(o.strongswan_conf))
	s.imc.AllowWritable = o.allow_writable != 0
	s.imc.Sandbox = sandbox(s.imc.Env)
	s.imc.Helper = C.GoString(o.helper)
	return s, nil
}

// environment returns the current environment of the program: the copy of Go is
// that of the time when the library was loaded.
func environment(strongswanConf string) []string {
	const name = "STRONGSWAN_CONF="
	var env []string
	for i := C.size_t(0); ; i++ {
		v := C.gotnc_environ(i)
		if v == nil {
			break
		}
		if e := C.GoString(v); strongswanConf == "" || !strings.HasPrefix(e, name) {
			env = append(env, e)
		}
	}
	if strongswanConf != "" {
		env = append(env, name+strongswanConf)
	}
	return env
}

// entries reads the tnc_config of s. Its first bad line is the error.
func (s settings) entries() ([]dlimc.Entry, error) {
	if s.tncConfig == "" {
		return nil, nil
	}
	entries, problems, err := dlimc.ParseTNCConfig(s.tncConfig)
	if err == nil && len(problems) > 0 {
		err = problems[0]
	}
	if err != nil {
		return nil, fail(C.TNCCS_E_CONFIG, err)
	}
	return entries, nil
}
