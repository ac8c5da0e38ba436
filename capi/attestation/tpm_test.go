package main

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

type otherPlatform struct{ imc.Platform }

func (otherPlatform) Attribute(_ context.Context, t patnc.Type) (patnc.Value, error) {
	if t == patnc.TypeITADeviceID {
		return patnc.DeviceID{ID: "machine-id"}, nil
	}
	return nil, errors.New("other")
}

// The Device ID of imc-os.device_handle is the key's; where the TPM does not
// tell it, what else the settings say.
func TestDeviceHandle(t *testing.T) {
	f := tpmtest.NewFake(tpm.TPM20)
	q := quoter.New(quoter.Config{Open: func(context.Context) (tpm.TPM, error) { return f, nil }})
	defer q.Close()
	p := devicePlatform{Platform: otherPlatform{}, handle: "0x81010003", quoter: q, log: log.Discard()}
	der, err := x509.MarshalPKIXPublicKey(f.Public())
	require.NoError(t, err)
	sum := sha1.Sum(der)
	id, err := p.Attribute(context.Background(), patnc.TypeITADeviceID)
	require.NoError(t, err)
	require.Equal(t, patnc.DeviceID{ID: hex.EncodeToString(sum[:])}, id)
	_, err = p.Attribute(context.Background(), patnc.TypeProductInformation)
	require.EqualError(t, err, "other")
	f.Err = tpm.ErrBusy
	for _, p.handle = range []string{"0x81010003", "nonsense"} {
		id, err = p.Attribute(context.Background(), patnc.TypeITADeviceID)
		require.NoError(t, err)
		require.Equal(t, patnc.DeviceID{ID: "machine-id"}, id)
	}
}

// A host may initialise again while a call of before still keeps
// TNC_IMC_Terminate waiting: the new TPM stays.
func TestTerminateClosesItsOwnTPM(t *testing.T) {
	t.Setenv("STRONGSWAN_CONF", os.DevNull)
	_, r := library.initialize(1, 1, 1)
	require.Equal(t, imc.ResultSuccess, r)
	in := library.enter()
	old := currentTPM.Load()
	done := make(chan imc.Result)
	go func() { done <- library.terminate(1) }()
	require.Eventually(t, func() bool {
		_, r = library.initialize(1, 1, 1)
		return r == imc.ResultSuccess
	}, 5*time.Second, time.Millisecond)
	next := currentTPM.Load()
	require.NotSame(t, old, next)
	library.leave(in)
	require.Equal(t, imc.ResultSuccess, <-done)
	require.Same(t, next, currentTPM.Load())
	require.Equal(t, imc.ResultSuccess, library.terminate(1))
	require.Nil(t, currentTPM.Load())
}
