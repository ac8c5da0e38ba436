package advice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// A response code becomes one sentence that says what to do.
func TestResponses(t *testing.T) {
	answering := func(code uint32) tpm.Transport {
		return tpmtest.Busy(tpmtest.Func(nil), 0, code, 1<<30)
	}
	for _, c := range []struct {
		gen  tpm.Generation
		code uint32
		says string
	}{
		{tpm.TPM20, 0x18b, "there is no key at that handle; make one with `tnc aik create`, or set aik_handle"},
		{tpm.TPM20, 0x921, "it is locked after wrong passwords; wait, or `tpm2_dictionarylockout -c`"},
		{tpm.TPM20, 0x902, "no room for another object; use /dev/tpmrm0 or flush with `tpm2_flushcontext -t`"},
		{tpm.TPM12, 7, "firmware's setup"},
		{tpm.TPM12, 0x12, "--take-ownership"},
		{tpm.TPM12, 0x0c, "no such key is loaded; set aik_blob"},
	} {
		var p tpm.TPM = tpm20.New(answering(c.code), tpm20.Config{})
		if c.gen == tpm.TPM12 {
			p = tpm12.New(answering(c.code), tpm12.Config{})
		}
		_, err := p.Info(t.Context())
		err = TPM(fmt.Errorf("measure: %w", err))
		require.ErrorContains(t, err, c.says)
		var re *tpm.ResponseError
		require.ErrorAs(t, err, &re, "it stays the error that it was")
		assert.Equal(t, err, TPM(err), "once")
	}
}

// Every name that has a remedy is one of a code that a TPM can answer.
func TestResponseNames(t *testing.T) {
	known := map[string]bool{}
	for code := range uint32(0x1000) {
		for _, p := range []tpm.TPM{
			tpm20.New(tpmtest.Busy(tpmtest.Func(nil), 0, code, 1<<30), tpm20.Config{Retry: noWait}),
			tpm12.New(tpmtest.Busy(tpmtest.Func(nil), 0, code, 1<<30), tpm12.Config{Retry: noWait}),
		} {
			var re *tpm.ResponseError
			if code == 0 {
				continue
			}
			if _, err := p.Info(t.Context()); errors.As(err, &re) {
				known[re.Name] = true
			}
		}
	}
	for name := range responses {
		assert.True(t, known[name], name)
	}
}

// What cannot be opened, and keys that nobody named.
func TestCauses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		cfg  device.Config
		says string
	}{
		{device.Config{Name: "tabrmd"}, "set plugins.tpm.tcti.name = device and opts = /dev/tpmrm0"},
		{device.Config{Name: "swtpm", Opts: "path=" + filepath.Join(dir, "none")}, "is the emulator running?"},
		{device.Config{Name: "device", Opts: file}, "is for sockets"},
	} {
		_, err := device.Open(t.Context(), c.cfg)
		assert.ErrorContains(t, TPM(err), c.says)
	}
	p := tpm20.New(tpmtest.Func(nil), tpm20.Config{})
	_, err := p.Quote(t.Context(), tpm.QuoteRequest{PCRs: pcr.Select(0), Bank: pcr.SHA256})
	assert.ErrorContains(t, TPM(err), "set aik_handle")
	for _, c := range causes {
		err := TPM(fmt.Errorf("x: %w", c.cause))
		assert.EqualError(t, err, "x: "+c.cause.Error()+"; "+c.remedy)
		assert.ErrorIs(t, err, c.cause)
	}
	assert.Equal(t, os.ErrExist, TPM(os.ErrExist))
	assert.NoError(t, TPM(nil))
}

var noWait = tpm.Retry{Sleep: func(context.Context, time.Duration) error { return nil }}
