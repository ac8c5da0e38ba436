// Package aik makes a TPM's attestation key and gets it certified, as the commands
// below aik do.
package aik

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// keyTimeout bounds one command to a TPM: to make an RSA key takes some TPMs of
// hardware half a minute.
const keyTimeout = 2 * time.Minute

// Device says which TPM and which of its keys is used. The zero value is what
// strongswan.conf says.
type Device struct {
	Strongswan      string // strongswan.conf; "" = the usual one
	TCTI            string
	OwnerFile       string // with the owner's password; "" = none
	EndorsementFile string // with that of the endorsement hierarchy; "" = none
	Handle          string // of the key in a TPM 2.0
	Blob            string // file with the key of a TPM 1.2
	EK              string // endorsement key: auto, rsa, ecc, ecc384

	Logger *slog.Logger // nil discards
}

// passwords reads the files.
func (d *Device) passwords() (tpm20.Auth, error) {
	var a tpm20.Auth
	for _, p := range []struct {
		file, flag string
		to         *[]byte
	}{{d.OwnerFile, "--owner-password-file", &a.Owner}, {d.EndorsementFile, "--endorsement-password-file", &a.Endorsement}} {
		if p.file == "" {
			continue
		}
		b, err := usage.ReadFile(p.file)
		if err != nil {
			return a, usage.FileError(p.file, p.flag, err)
		}
		*p.to, _, _ = bytes.Cut(bytes.TrimRight(b, "\r\n"), []byte("\n"))
	}
	return a, nil
}

// openTPM is a TPM that is open and what strongswan.conf says of the key.
type openTPM struct {
	tpm.TPM
	info tpm.Info
	aik  tpm.AIK
	auth tpm20.Auth
	view config.View
	tcti *device.Config // of the flag; nil where strongswan.conf says which TPM
}

// owner returns the owner's secret as a TPM 1.2 knows it.
func (t *openTPM) owner() [20]byte { return tpm12.Secret(t.auth.Owner) }

// open reads strongswan.conf and the passwords and opens the TPM. The flags
// --handle and --blob go before the settings.
func (d *Device) open(ctx context.Context) (*openTPM, error) {
	view, err := profile.Files{Strongswan: d.Strongswan}.IMCSettings()
	if err != nil {
		return nil, err
	}
	t := &openTPM{view: view}
	if t.auth, err = d.passwords(); err != nil {
		return nil, err
	}
	set := quoter.FromSettings(view, d.Logger)
	t.aik = set.AIK
	if d.Handle != "" {
		if t.aik.Handle, err = settings.ParseHandle(d.Handle); err != nil {
			return nil, usage.Errorf("--handle: %v", err)
		}
	}
	if d.Blob != "" {
		if t.aik.Blob, err = usage.ReadFile(d.Blob); err != nil {
			return nil, usage.FileError(d.Blob, "--blob", err)
		}
	}
	if d.TCTI != "" {
		named := device.ParseTCTI(d.TCTI)
		if named != set.Device {
			t.tcti = &named
		}
		set.Device = named
	}
	set.Device.Timeout = keyTimeout
	if t.TPM, err = device.Open(ctx, set.Device); err != nil {
		return nil, err
	}
	if t.info, err = t.Info(ctx); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// keyHandle returns the handle of the key in a TPM 2.0.
func (t *openTPM) keyHandle() (uint32, error) {
	if t.aik.Handle == 0 {
		return 0, errors.New("no key is named: set imc-attestation.aik_handle in strongswan.conf, or give --handle; `tnc aik create` makes one")
	}
	return t.aik.Handle, nil
}

// keyBlob returns the key blob of a TPM 1.2.
func (t *openTPM) keyBlob() ([]byte, error) {
	if len(t.aik.Blob) == 0 {
		return nil, errors.New("no key is named: set imc-attestation.aik_blob in strongswan.conf, or give --blob; `tnc aik create` makes one")
	}
	return t.aik.Blob, nil
}

// parseEK reads --ek; found asks the TPM where that is left open.
func parseEK(s string, found func() (tpm20.KeyType, error)) (tpm20.KeyType, error) {
	if s == "auto" {
		return found()
	}
	k, err := tpm20.ParseKeyType(s)
	if err != nil {
		return 0, usage.Errorf("--ek %s: not one of auto, %s", s, keyTypeNames())
	}
	return k, nil
}

// keyTypeNames lists the types of endorsement keys.
func keyTypeNames() string {
	var names []string
	for _, k := range tpm20.KeyTypes {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

// TPM20 is a TPM 2.0 that is open, with the passwords of its hierarchies and what
// strongswan.conf and the flags say of its attestation key.
type TPM20 struct {
	*tpm20.TPM
	Auth tpm20.Auth
	AIK  tpm.AIK
}

// TPM20 opens the TPM, which has to be a TPM 2.0.
func (d *Device) TPM20(ctx context.Context) (*TPM20, error) {
	t, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		return nil, errors.Join(ErrTPM12, t.Close())
	}
	return &TPM20{TPM: p, Auth: t.auth, AIK: t.aik}, nil
}

// ErrTPM12 is returned where a TPM 2.0 is needed.
var ErrTPM12 = errors.New("this needs a TPM 2.0, and this is a TPM 1.2")

// TPM12 opens the TPM, which has to be a TPM 1.2.
func (d *Device) TPM12(ctx context.Context) (*tpm12.TPM, error) {
	t, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	p, ok := t.TPM.(*tpm12.TPM)
	if !ok {
		return nil, errors.Join(errors.New("the key is one of a TPM 1.2, and this is a TPM 2.0"), t.Close())
	}
	return p, nil
}
