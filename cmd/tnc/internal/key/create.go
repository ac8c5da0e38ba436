package key

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Create makes a key.
type Create struct {
	Key
	Type    string // rsa or ecc
	Bits    int    // 0 = 2048, 256
	PCRs    string // that bind it, as in "sha256:0,2,7"; "" = none
	Parent  string // handle; "" = the owner's primary storage key
	Persist string // handle that the key is stored at as well; "" = none, "auto" = the first free one
	Out     string // file
	Replace bool   // that file
}

// request reads the flags.
func (o *Create) request() (r tpm20.SigningKeyRequest, handle uint32, err error) {
	switch o.Type {
	case "ecc":
		r.ECC = true
	case "rsa":
	default:
		return r, 0, usage.Errorf("--type %s: not one of rsa, ecc", o.Type)
	}
	r.Bits = o.Bits
	if o.Parent != "" {
		if r.Parent, err = settings.ParseHandle(o.Parent); err != nil {
			return r, 0, usage.Errorf("--parent: %v", err)
		}
	}
	if o.Persist != "" && o.Persist != "auto" {
		if handle, err = settings.ParseHandle(o.Persist); err != nil {
			return r, 0, usage.Errorf("--persist: %v", err)
		}
	}
	if o.PCRs != "" {
		if r.Bank, r.PCRs, err = parsePCRs(o.PCRs); err != nil {
			return r, 0, usage.Errorf("--pcrs %s: %v", o.PCRs, err)
		}
	}
	if r.Password, err = o.password(); err == nil && len(r.Password) > 0 && o.PCRs != "" {
		err = usage.Errorf("a key has a password or is bound to PCRs, not both")
	}
	return r, handle, err
}

// parsePCRs reads a bank and the numbers of PCRs, as tpm2-tools write them.
func parsePCRs(s string) (bank pcr.Hash, pcrs pcr.Selection, err error) {
	name, list, ok := strings.Cut(s, ":")
	banks := map[string]pcr.Hash{"sha1": pcr.SHA1, "sha256": pcr.SHA256, "sha384": pcr.SHA384, "sha512": pcr.SHA512}
	if bank = banks[name]; !ok || bank == 0 {
		return 0, 0, errors.New("not a bank and PCRs, as in sha256:0,2,7")
	}
	for _, n := range strings.Split(list, ",") {
		i, err := strconv.Atoi(n)
		if err != nil || !pcr.Valid(i) {
			return 0, 0, fmt.Errorf("%q is not a PCR from 0 to 23", n)
		}
		pcrs |= pcr.Select(i)
	}
	return bank, pcrs, nil
}

// Run makes the key and writes its file.
func (o *Create) Run(ctx context.Context) (*Shown, error) {
	r, handle, err := o.request()
	if err != nil {
		return nil, err
	}
	if !o.Replace {
		if err := aik.Absent(o.Out); err != nil {
			return nil, err
		}
	}
	t, err := o.TPM20(ctx)
	if errors.Is(err, aik.ErrTPM12) {
		return o.run12(ctx, r.Password)
	}
	if err != nil {
		return nil, err
	}
	w, err := t.CreateSigningKey(ctx, r, t.Auth)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	k, err := t.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w, Password: r.Password, Auth: t.Auth})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	file, err := keyfile.Marshal(*w)
	if err == nil {
		err = aik.WriteNew(o.Out, file, 0o600, o.Replace)
	}
	if err != nil {
		return nil, errors.Join(err, k.Close(), t.Close())
	}
	at := ""
	if o.Persist != "" {
		if handle, err = k.Persist(ctx, handle, t.Auth); err != nil {
			return nil, errors.Join(err, os.Remove(o.Out), k.Close(), t.Close())
		}
		at = fmt.Sprintf("0x%08x", handle)
	}
	key := &opened{SigningKey: k, tpm: t, wrapped: w}
	defer key.close()
	if key.spki, err = marshalPublic(k); err != nil {
		return nil, err
	}
	return key.shown(o.Out, at), nil
}
