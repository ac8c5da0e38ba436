package tpmkey

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/advice"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Error is what keeps a key or certificate in the TPM from use.
type Error struct {
	What        string     // the key or certificate
	Certificate bool       // it is a certificate
	Setting     string     // of the password, "pin of secrets.token"; "" = there is no section for it
	HasPassword bool       // one is configured
	Pos         config.Pos // of the password, else of the section
	Err         error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// at says where the password, or its section, is.
func (e *Error) at() string {
	if e.Pos == (config.Pos{}) {
		return ""
	}
	return fmt.Sprintf(" (%s)", e.Pos)
}

// failed returns the Error of a key; nil for nil.
func (k *Key) failed(err error) error {
	var has *Error
	if err == nil || errors.As(err, &has) {
		return err
	}
	e := &Error{What: k.String(), HasPassword: k.pin, Pos: k.pinPos, Err: err}
	switch {
	case k.keys.cfg.Password != "":
		e.Setting = k.keys.cfg.Password
	case k.section != "":
		e.Setting = "the " + k.pinName + " of " + k.section
	}
	return e
}

// Remedy returns what a user can do about an error that wraps an *Error: a clause that
// follows it. It is empty where nothing is known.
func Remedy(err error) string {
	e := new(Error)
	if !errors.As(err, &e) {
		return ""
	}
	re := new(tpm.ResponseError)
	code := ""
	if errors.As(err, &re) {
		code = re.Name
	}
	switch {
	case errors.Is(err, tpm20.ErrPassword) && e.Setting == "" && e.HasPassword:
		return "start again and type the right one; it is not tried again, since wrong ones lock the TPM"
	case errors.Is(err, tpm20.ErrPassword) && e.Setting == "":
		return "add a section private with file and secret to secrets"
	case errors.Is(err, tpm20.ErrPassword) && e.HasPassword:
		return fmt.Sprintf("correct %s%s; it is not tried again, since wrong ones lock the TPM", e.Setting, e.at())
	case errors.Is(err, tpm20.ErrPassword):
		return fmt.Sprintf("set %s%s", e.Setting, e.at())
	case errors.Is(err, tpm.ErrLocked):
		return "wait until it recovers, or clear it with `tpm2_dictionarylockout -c`, and correct the password that locked it"
	case errors.Is(err, tpm.ErrBusy):
		return "try again; another program keeps it busy"
	case errors.Is(err, tpm20.ErrPCRs):
		return "the machine booted something else than when the key was made: boot that, or make another key with `tnc key create`"
	case errors.Is(err, tpm20.ErrRestricted), errors.Is(err, tpm20.ErrNotSigning):
		return "name a key for signing: `tnc key create` makes one"
	case code == "TPM_RC_INTEGRITY", code == "TPM_DECRYPT_ERROR", errors.Is(err, errFile20), errors.Is(err, errFile12):
		return "make another key with `tnc key create`"
	case code == "TPM_RC_AUTH_UNAVAILABLE":
		return "use the key's file, which has its policy"
	case errors.Is(err, tpm.ErrNoKey) && e.Certificate:
		return "correct the handle, or write the certificate there with `tpm2_nvdefine` and `tpm2_nvwrite`"
	case errors.Is(err, tpm.ErrNoKey):
		return "correct the handle, or make a key with `tnc key create`"
	case errors.Is(err, errGeneration):
		return "put the key into a file \"TSS KEY BLOB\", the certificate into one as well"
	case errors.Is(err, tpm20.ErrSaltLength), errors.Is(err, tpm12.ErrScheme):
		return "do without RSASSA-PSS: auth = ike:rsa-sha256 in swanctl.conf, libtls.version_max = 1.2 in strongswan.conf"
	case errors.Is(err, tpm.ErrGone), errors.Is(err, tpm.ErrTimeout):
		if r := advice.ForTPM(err); r != "" {
			return r
		}
		return "see that the TPM answers: `tnc doctor`"
	}
	return advice.ForTPM(err)
}
