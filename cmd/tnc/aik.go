package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

func newAIK() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aik",
		Short: "Make the TPM's attestation key and get it certified",
		Long: `Makes an Attestation Identity Key (AIK), with which the TPM signs what this
machine booted and runs, and gets a certificate of it from a privacy CA without
the machine being carried there:

  here      tnc aik create                      makes the key and aik.request
  the CA    tnc aik issue aik.request ...       checks the TPM's own certificate, makes aik.answer
  here      tnc aik activate aik.answer         only this TPM can open it: aik.crt

The CA's part needs no TPM.`,
		Args: subcommand,
		RunE: helpOnly,
	}
	cmd.AddCommand(newAIKCreate(), newAIKShow(), newAIKActivate(), newAIKIssue())
	return cmd
}

// keyTimeout bounds one command to a TPM: to make an RSA key takes some TPMs of
// hardware half a minute.
const keyTimeout = 2 * time.Minute

// aikOptions are the flags of the commands that use the TPM.
type aikOptions struct {
	strongswan, tcti            string
	ownerFile, endorsementsFile string
	handle, blob, ek            string
	json                        bool
}

func (o *aikOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	strongswanFlag(cmd, &o.strongswan)
	f.StringVar(&o.tcti, "tcti", "", "TPM, as in device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321 (default plugins.tpm.tcti of strongswan.conf)")
	f.StringVar(&o.ownerFile, "owner-password-file", "", "file whose first line is the password of the TPM's owner (default: none; of a TPM 1.2 the well-known secret)")
	f.StringVar(&o.endorsementsFile, "endorsement-password-file", "", "file whose first line is the password of a TPM 2.0's endorsement hierarchy (default: none)")
}

// passwords reads the files.
func (o *aikOptions) passwords() (tpm20.Auth, error) {
	var a tpm20.Auth
	for _, p := range []struct {
		file, flag string
		to         *[]byte
	}{{o.ownerFile, "--owner-password-file", &a.Owner}, {o.endorsementsFile, "--endorsement-password-file", &a.Endorsement}} {
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

// aikTPM is the open TPM and what strongswan.conf says of the key.
type aikTPM struct {
	tpm.TPM
	info tpm.Info
	view config.View
	aik  tpm.AIK
	auth tpm20.Auth
}

// owner returns the owner's secret as a TPM 1.2 knows it.
func (t *aikTPM) owner() [20]byte { return tpm12.Secret(t.auth.Owner) }

// open reads strongswan.conf and the passwords and opens the TPM. The flags
// --handle and --blob go before the settings.
func (o *aikOptions) open(ctx context.Context, errs io.Writer) (*aikTPM, error) {
	view, err := profile.Files{Strongswan: o.strongswan}.IMCSettings()
	if err != nil {
		return nil, err
	}
	t := &aikTPM{view: view}
	if t.auth, err = o.passwords(); err != nil {
		return nil, err
	}
	set := quoter.FromSettings(view, (&options{}).logger(errs))
	t.aik = set.AIK
	if o.handle != "" {
		if t.aik.Handle, err = quoter.ParseHandle(o.handle); err != nil {
			return nil, usage.Errorf("--handle: %v", err)
		}
	}
	if o.blob != "" {
		if t.aik.Blob, err = usage.ReadFile(o.blob); err != nil {
			return nil, usage.FileError(o.blob, "--blob", err)
		}
	}
	if o.tcti != "" {
		set.Device = device.ParseTCTI(o.tcti)
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

// handleOf returns the handle of the key in a TPM 2.0.
func (t *aikTPM) handleOf() (uint32, error) {
	if t.aik.Handle == 0 {
		return 0, errors.New("no key is named: set imc-attestation.aik_handle in strongswan.conf, or give --handle; `tnc aik create` makes one")
	}
	return t.aik.Handle, nil
}

// blobOf returns the key blob of a TPM 1.2.
func (t *aikTPM) blobOf() ([]byte, error) {
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
	for _, k := range tpm20.KeyTypes {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, usage.Errorf("--ek %s: not one of auto, rsa, ecc, ecc384", s)
}

// writable says why no file can be made in a folder.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".tnc-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// absent says that a file is in the way.
func absent(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return existing(path, os.ErrExist)
	}
	return nil
}

// writeNew writes a file that must not exist yet, unless replace is set.
func writeNew(path string, b []byte, mode fs.FileMode, replace bool) error {
	if replace {
		// beside it first: what is there is not lost where the disk is full
		tmp, err := os.CreateTemp(filepath.Dir(path), ".tnc-*")
		if err != nil {
			return err
		}
		defer os.Remove(tmp.Name())
		_, err = tmp.Write(b)
		if err = errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
			return err
		}
		return os.Rename(tmp.Name(), path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return existing(path, err)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func existing(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: give --replace, or another --out", path)
	}
	return err
}

// rows prints name and value pairs in columns.
func rows(out io.Writer, pairs ...[2]string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", p[0], p[1])
		}
	}
	_ = w.Flush()
}

// sayInConf prints a setting of imc-attestation as strongswan.conf wants it.
func sayInConf(out io.Writer, key, value string) {
	fmt.Fprintf(out, "\nIn strongswan.conf:\n\n  libimcv {\n    plugins {\n      imc-attestation {\n        %s = %s\n      }\n    }\n  }\n", key, value)
}
