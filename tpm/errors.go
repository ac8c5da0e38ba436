package tpm

import (
	"errors"
	"fmt"
)

// Causes; errors of this package and of tpm/device wrap one of them where it
// fits.
var (
	ErrNoTPM    = errors.New("no TPM found")
	ErrGone     = errors.New("the TPM does not answer any more")
	ErrTimeout  = errors.New("the TPM did not answer in time")
	ErrBusy     = errors.New("the TPM stays busy")
	ErrLocked   = errors.New("the TPM is locked")
	ErrInUse    = errors.New("another program holds the TPM")
	ErrNoBank   = errors.New("the TPM has no such PCR bank")
	ErrNoKey    = errors.New("no AIK")
	ErrExternal = errors.New("bad length of external data")
	ErrReply    = errors.New("the TPM's reply is malformed")
	ErrNoOwner  = errors.New("the TPM has no owner")
)

// ResponseError is a response code that the TPM answered a command with
// (TPM Library Part 2 §6.6; TPM Main Part 2 §16).
type ResponseError struct {
	Generation Generation
	Code       uint32
	Command    string // "TPM2_Quote"
}

func (e *ResponseError) Error() string {
	name, hint := e.describe()
	s := fmt.Sprintf("%s: the TPM answered 0x%03x", e.Command, e.Code)
	if name != "" {
		s += " " + name
	}
	if hint != "" {
		s += ": " + hint
	}
	return s
}

// Unwrap returns ErrLocked, ErrBusy, ErrNoKey or ErrNoOwner where the code
// means that.
func (e *ResponseError) Unwrap() error {
	if e.Generation == TPM12 {
		switch e.Code {
		case rc12DefendLock, rc12Disabled, rc12Deactivated, rc12DisabledCmd:
			return ErrLocked
		case rc12Retry, rc12NeedsSelftest, rc12DoingSelftest:
			return ErrBusy
		case rc12NoSRK:
			return ErrNoOwner
		case rc12InvalidKeyHandle:
			return ErrNoKey
		}
		return nil
	}
	switch base20(e.Code) {
	case rc20Lockout:
		return ErrLocked
	case rc20Retry, rc20Yielded, rc20Testing, rc20NVRate, rc20NVUnavailable:
		return ErrBusy
	case rc20Handle:
		return ErrNoKey
	}
	// TPM_RC_REFERENCE_H0: a handle names no object
	if e.Code >= 0x910 && e.Code <= 0x916 {
		return ErrNoKey
	}
	return nil
}

// Response codes of TPM 2.0 that decide something here. Format-one codes are
// compared without the number of the handle, session or parameter.
const (
	rc20Initialize    = 0x100
	rc20Failure       = 0x101
	rc20AuthFail      = 0x08e
	rc20Value         = 0x084
	rc20Handle        = 0x08b
	rc20BadAuth       = 0x0a2
	rc20Hierarchy     = 0x085
	rc20Scheme        = 0x092
	rc20Key           = 0x09c
	rc20Attributes    = 0x082
	rc20NVDefined     = 0x14c
	rc20ObjectMemory  = 0x902
	rc20SessionMemory = 0x903
	rc20Memory        = 0x904
	rc20Yielded       = 0x908
	rc20Testing       = 0x90a
	rc20NVRate        = 0x920
	rc20Lockout       = 0x921
	rc20Retry         = 0x922
	rc20NVUnavailable = 0x923
)

// Return codes of TPM 1.2.
const (
	rc12AuthFail         = 1
	rc12Deactivated      = 6
	rc12Disabled         = 7
	rc12DisabledCmd      = 8
	rc12FailedSelftest   = 0x1c
	rc12InvalidKeyHandle = 0x0c
	rc12KeyNotFound      = 0x0d
	rc12NoSRK            = 0x12
	rc12OwnerSet         = 0x14
	rc12BadTag           = 0x1e
	rc12DecryptError     = 0x21
	rc12NoEndorsement    = 0x23
	rc12InvalidPostInit  = 0x26
	rc12Retry            = 0x800
	rc12NeedsSelftest    = 0x801
	rc12DoingSelftest    = 0x802
	rc12DefendLock       = 0x803
)

// base20 drops what a format-one code says of the place of the error.
func base20(code uint32) uint32 {
	if code&0x080 != 0 {
		return code & 0x0bf
	}
	return code
}

func (e *ResponseError) describe() (name, hint string) {
	type text struct{ name, hint string }
	codes20 := map[uint32]text{
		rc20Initialize:    {"TPM_RC_INITIALIZE", "it was not started"},
		rc20Failure:       {"TPM_RC_FAILURE", "it is in failure mode; restart the machine"},
		rc20AuthFail:      {"TPM_RC_AUTH_FAIL", "the password is wrong"},
		rc20BadAuth:       {"TPM_RC_BAD_AUTH", "the password is wrong"},
		rc20Value:         {"TPM_RC_VALUE", ""},
		rc20Handle:        {"TPM_RC_HANDLE", "there is no key at that handle; make one with `tnc aik create`, or set aik_handle"},
		rc20Hierarchy:     {"TPM_RC_HIERARCHY", "the hierarchy is disabled in the firmware's setup"},
		rc20Scheme:        {"TPM_RC_SCHEME", "the key cannot sign with that scheme"},
		rc20Key:           {"TPM_RC_KEY", "the key at that handle cannot sign"},
		rc20Attributes:    {"TPM_RC_ATTRIBUTES", "the key at that handle is not one for signing"},
		rc20NVDefined:     {"TPM_RC_NV_DEFINED", "the handle is taken"},
		rc20ObjectMemory:  {"TPM_RC_OBJECT_MEMORY", "no room for another object; use /dev/tpmrm0 or flush with `tpm2_flushcontext -t`"},
		rc20SessionMemory: {"TPM_RC_SESSION_MEMORY", "no room for another session; use /dev/tpmrm0 or flush with `tpm2_flushcontext -l`"},
		rc20Memory:        {"TPM_RC_MEMORY", "out of memory"},
		rc20Yielded:       {"TPM_RC_YIELDED", "it stays busy"},
		rc20Testing:       {"TPM_RC_TESTING", "it is testing itself"},
		rc20NVRate:        {"TPM_RC_NV_RATE", "it protects its memory from wear; try later"},
		rc20Lockout:       {"TPM_RC_LOCKOUT", "it is locked after wrong passwords; wait, or `tpm2_dictionarylockout -c`"},
		rc20Retry:         {"TPM_RC_RETRY", "it stays busy"},
		rc20NVUnavailable: {"TPM_RC_NV_UNAVAILABLE", "its memory cannot be written now"},
	}
	codes12 := map[uint32]text{
		rc12AuthFail:         {"TPM_AUTHFAIL", "the secret is wrong; the SRK's must be the well-known one (20 zero octets)"},
		rc12Deactivated:      {"TPM_DEACTIVATED", "activate it in the firmware's setup"},
		rc12Disabled:         {"TPM_DISABLED", "enable it in the firmware's setup"},
		rc12DisabledCmd:      {"TPM_DISABLED_CMD", "the owner disabled the command"},
		rc12FailedSelftest:   {"TPM_FAILEDSELFTEST", "restart the machine"},
		rc12InvalidKeyHandle: {"TPM_INVALID_KEYHANDLE", "no such key is loaded; set aik_blob"},
		rc12KeyNotFound:      {"TPM_KEYNOTFOUND", ""},
		rc12NoSRK:            {"TPM_NOSRK", "take ownership first: `tnc aik create --take-ownership`, or tpm_takeownership -z"},
		rc12OwnerSet:         {"TPM_OWNER_SET", "it has an owner already"},
		rc12BadTag:           {"TPM_BADTAG", ""},
		rc12DecryptError:     {"TPM_DECRYPT_ERROR", "the blob belongs to another TPM, or to an earlier owner"},
		rc12NoEndorsement:    {"TPM_NO_ENDORSEMENT", "it has no endorsement key"},
		rc12InvalidPostInit:  {"TPM_INVALID_POSTINIT", "it was not started"},
		rc12Retry:            {"TPM_RETRY", "it stays busy"},
		rc12NeedsSelftest:    {"TPM_NEEDS_SELFTEST", "it is not tested yet"},
		rc12DoingSelftest:    {"TPM_DOING_SELFTEST", "it is testing itself"},
		rc12DefendLock:       {"TPM_DEFEND_LOCK_RUNNING", "it is locked after wrong secrets; wait"},
	}
	if e.Generation == TPM12 {
		t := codes12[e.Code]
		return t.name, t.hint
	}
	t, ok := codes20[base20(e.Code)]
	if !ok && e.Code >= 0x910 && e.Code <= 0x916 {
		return "TPM_RC_REFERENCE", "there is no object at that handle"
	}
	return t.name, t.hint
}
