package attestation

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"

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
