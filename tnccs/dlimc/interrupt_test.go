//go:build cgo && linux

package dlimc

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
)

// Who interrupts the program waits for no IMC that hangs, whether the call began
// before or after; one that behaves is asked on.
func TestInterrupted(t *testing.T) {
	noLeak(t)
	so := buildBad(t)
	for _, before := range []bool{true, false} {
		ctx, cancel := context.WithCancel(context.Background())
		env := append(os.Environ(), "GOTNC_TEST_AT=BeginHandshake", "GOTNC_TEST_DO=hang")
		imc, err := Load(Entry{Name: "Bad", Path: so}, Config{Env: env, Context: ctx, CallTimeout: time.Hour, TerminateTimeout: time.Second})
		require.NoError(t, err)
		c, err := tnccs.NewClient(tnccs.Config{})
		require.NoError(t, err)
		require.NoError(t, c.Add("Bad", imc))
		if before {
			cancel()
			require.NoError(t, imc.NotifyConnectionChange(1, tnccs.ConnectionCreate))
		} else {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		err = imc.BeginHandshake(1)
		require.ErrorIs(t, err, ErrHung)
		require.ErrorContains(t, err, "interruption")
		require.NoError(t, c.Close())
		cancel()
	}
}
