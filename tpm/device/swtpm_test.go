package device_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// Debian's swtpm over TCP and a Unix socket, in both generations: found out, and
// started where nobody did.
func TestSwtpm(t *testing.T) {
	for _, gen := range []tpm.Generation{tpm.TPM12, tpm.TPM20} {
		for name, start := range map[string]func(testing.TB, tpm.Generation) *tpmtest.Emulator{
			"TCP":  tpmtest.SwtpmTCP,
			"Unix": func(t testing.TB, g tpm.Generation) *tpmtest.Emulator { return tpmtest.Swtpm(t, g) },
		} {
			t.Run(gen.String()+" "+name, func(t *testing.T) {
				e := start(t, gen)
				p, err := device.Open(t.Context(), device.ParseTCTI(e.Config.String()))
				require.NoError(t, err)
				assert.Equal(t, gen, p.Generation())
				info, err := p.Info(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "IBM", info.Manufacturer[:3])
				values, err := p.ReadPCRs(t.Context(), pcr.SHA1, pcr.Select(0, 17))
				require.NoError(t, err)
				assert.Equal(t, byte(0xff), values[17][0])
				require.NoError(t, p.Close())
			})
		}
	}
}

// A TPM that hangs or goes away in the middle is an error in bounded time.
func TestSwtpmHangsAndGoes(t *testing.T) {
	e := tpmtest.SwtpmTCP(t, tpm.TPM20)
	s := e.Config
	s.Timeout = 200 * time.Millisecond
	p, err := device.Open(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, e.Process().Signal(syscall.SIGSTOP))
	_, err = p.ReadPCRs(t.Context(), pcr.SHA256, pcr.Select(0))
	require.ErrorIs(t, err, tpm.ErrTimeout)
	_, err = p.ReadPCRs(t.Context(), pcr.SHA256, pcr.Select(0))
	require.ErrorIs(t, err, tpm.ErrGone, "at once")
	_, err = device.Open(t.Context(), s)
	require.ErrorIs(t, err, tpm.ErrTimeout, "nor does it answer a new connection")
	require.NoError(t, e.Process().Signal(syscall.SIGCONT))

	e = tpmtest.Swtpm(t, tpm.TPM20)
	p = e.Open(t)
	e.Stop()
	_, err = p.ReadPCRs(t.Context(), pcr.SHA256, pcr.Select(0))
	require.ErrorIs(t, err, tpm.ErrGone)
	_, err = device.Open(t.Context(), e.Config)
	require.ErrorIs(t, err, tpm.ErrNoTPM)
}
