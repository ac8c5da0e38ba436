// Package advice says what people can do about an error of a TPM. Libraries return
// typed errors with the facts; the programs that log or print them append the remedy
// from here, with the settings and commands of those programs.
package advice

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// advised is an error with its remedy.
type advised struct {
	error
	remedy string
}

func (e advised) Error() string { return e.error.Error() + "; " + e.remedy }
func (e advised) Unwrap() error { return e.error }

// TPM appends the remedy to an error of packages tpm, tpm/device or
// tpm/privacyca. It returns every other error, and one that has a remedy already,
// unchanged.
func TPM(err error) error {
	if r := ForTPM(err); r != "" {
		return advised{err, r}
	}
	return err
}

// responses are the remedies for response codes of TPMs, by the name of the code.
var responses = map[string]string{
	"TPM_RC_FAILURE":          "restart the machine",
	"TPM_RC_HANDLE":           "make one with `tnc aik create`, or set aik_handle",
	"TPM_RC_OBJECT_MEMORY":    "use /dev/tpmrm0 or flush with `tpm2_flushcontext -t`",
	"TPM_RC_SESSION_MEMORY":   "use /dev/tpmrm0 or flush with `tpm2_flushcontext -l`",
	"TPM_RC_NV_RATE":          "try later",
	"TPM_RC_LOCKOUT":          "wait, or `tpm2_dictionarylockout -c`",
	"TPM_DEACTIVATED":         "activate it in the firmware's setup",
	"TPM_DISABLED":            "enable it in the firmware's setup",
	"TPM_FAILEDSELFTEST":      "restart the machine",
	"TPM_INVALID_KEYHANDLE":   "set aik_blob",
	"TPM_NOSRK":               "take ownership first: `tnc aik create --take-ownership`, or tpm_takeownership -z",
	"TPM_DEFEND_LOCK_RUNNING": "wait",
}

// causes are the remedies for other errors; the first that matches counts.
var causes = []struct {
	cause  error
	remedy string
}{
	{tpm.ErrKeyUnset, "set aik_handle (TPM 2.0), or aik_blob with aik_cert or aik_pubkey (TPM 1.2); `tnc aik create` makes one"},
	{device.ErrNoDevice, "enable the TPM in the firmware's setup, or name it with plugins.tpm.tcti"},
	{device.ErrNotDevice, "plugins.tpm.tcti.name = swtpm with opts = path=… is for sockets"},
	{device.ErrNoEmulator, "is the emulator running?"},
	{device.ErrSilent, "does another program hold it?"},
	{device.ErrBroker, "set plugins.tpm.tcti.name = device and opts = /dev/tpmrm0, the kernel's resource manager"},
	{device.ErrPermission, "run as root or as a member of the group tss"},
	{tpm.ErrInUse, "stop it (tcsd, tabrmd), or use /dev/tpmrm0"},
	{tpm20.ErrHandleTaken, "replace it, or choose another"},
	{privacyca.ErrNoCertificate, "if you know this TPM, trust its key: --ek-sha256"},
}

// ForTPM returns the remedy that TPM appends, empty where there is none.
func ForTPM(err error) string {
	var has advised
	if errors.As(err, &has) {
		return ""
	}
	var re *tpm.ResponseError
	if errors.As(err, &re) {
		return responses[re.Name]
	}
	if unknown := new(privacyca.UnknownIssuerError); errors.As(err, &unknown) {
		return addIssuer(unknown.Certificate)
	}
	for _, c := range causes {
		if errors.Is(err, c.cause) {
			return c.remedy
		}
	}
	return ""
}

// addIssuer says where the certificate of a certificate's issuer is.
func addIssuer(c *x509.Certificate) string {
	from := "from the TPM's manufacturer"
	if len(c.IssuingCertificateURL) > 0 {
		from = "from " + text.Printable(c.IssuingCertificateURL[0])
	}
	return fmt.Sprintf("get the certificate of that CA %s, make sure that it is the manufacturer's, and put it into a file or the folder of --ek-ca", from)
}
