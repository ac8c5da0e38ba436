package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc"
)

// A host may initialise again while a call of before still keeps
// TNC_IMC_Terminate waiting: the new IMC stays, and its TPM.
func TestTerminateEndsItsOwnIMC(t *testing.T) {
	t.Setenv("STRONGSWAN_CONF", os.DevNull)
	_, r := library.initialize(1, 1, 1)
	require.Equal(t, imc.ResultSuccess, r)
	in := library.enter()
	done := make(chan imc.Result)
	go func() { done <- library.terminate(1) }()
	require.Eventually(t, func() bool {
		_, r = library.initialize(1, 1, 1)
		return r == imc.ResultSuccess
	}, 5*time.Second, time.Millisecond)
	next := library.cur
	require.NotSame(t, in, next)
	require.NotSame(t, in.imc.TPM, next.imc.TPM)
	library.leave(in)
	require.Equal(t, imc.ResultSuccess, <-done)
	require.Same(t, next, library.cur)
	require.Equal(t, imc.ResultSuccess, library.terminate(1))
	require.Nil(t, library.cur)
}
