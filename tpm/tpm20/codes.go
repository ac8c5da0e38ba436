package tpm20

import (
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// rcInitialize is TPM_RC_INITIALIZE: the TPM was not started.
const rcInitialize = 0x100

// meanings explains response codes (TPM Library Part 2 section 6.6). Format-one
// codes are listed without the number of the handle, session or parameter.
var meanings = map[uint32]command.Meaning{
	0x082:        {Name: "TPM_RC_ATTRIBUTES", Text: "the key at that handle is not one for signing"},
	0x083:        {Name: "TPM_RC_HASH", Text: "it does not have that hash algorithm"},
	0x084:        {Name: "TPM_RC_VALUE"},
	0x085:        {Name: "TPM_RC_HIERARCHY", Text: "the hierarchy is disabled in the firmware's setup"},
	0x08b:        {Name: "TPM_RC_HANDLE", Text: "there is no key at that handle", Cause: attest.ErrNoKey},
	0x08e:        {Name: "TPM_RC_AUTH_FAIL", Text: "the password is wrong", Cause: ErrPassword},
	0x092:        {Name: "TPM_RC_SCHEME", Text: "the key cannot sign with that scheme"},
	0x09c:        {Name: "TPM_RC_KEY", Text: "the key at that handle cannot sign"},
	0x09d:        {Name: "TPM_RC_POLICY_FAIL", Text: "the key's policy is another one"},
	0x09f:        {Name: "TPM_RC_INTEGRITY", Text: "another TPM made it, or the owner was cleared since", Cause: attest.ErrNoKey},
	0x0a2:        {Name: "TPM_RC_BAD_AUTH", Text: "the password is wrong", Cause: ErrPassword},
	rcInitialize: {Name: "TPM_RC_INITIALIZE", Text: "it was not started"},
	0x101:        {Name: "TPM_RC_FAILURE", Text: "it is in failure mode"},
	0x128:        {Name: "TPM_RC_PCR_CHANGED", Text: "a PCR was extended meanwhile"},
	0x12f:        {Name: "TPM_RC_AUTH_UNAVAILABLE", Text: "a policy authorizes the key, no password does"},
	0x149:        {Name: "TPM_RC_NV_AUTHORIZATION", Text: "it may not be read with that authorization"},
	0x14c:        {Name: "TPM_RC_NV_DEFINED", Text: "the handle is taken"},
	0x902:        {Name: "TPM_RC_OBJECT_MEMORY", Text: "no room for another object"},
	0x903:        {Name: "TPM_RC_SESSION_MEMORY", Text: "no room for another session"},
	0x904:        {Name: "TPM_RC_MEMORY", Text: "out of memory"},
	0x908:        {Name: "TPM_RC_YIELDED", Text: "it stays busy", Cause: command.ErrBusy},
	0x90a:        {Name: "TPM_RC_TESTING", Text: "it is testing itself", Cause: command.ErrBusy},
	0x920:        {Name: "TPM_RC_NV_RATE", Text: "it protects its memory from wear", Cause: command.ErrBusy},
	0x921:        {Name: "TPM_RC_LOCKOUT", Text: "it is locked after wrong passwords", Cause: command.ErrLocked},
	0x922:        {Name: "TPM_RC_RETRY", Text: "it stays busy", Cause: command.ErrBusy},
	0x923:        {Name: "TPM_RC_NV_UNAVAILABLE", Text: "its memory cannot be written now", Cause: command.ErrBusy},
}

// explain returns the meaning of a response code.
func explain(code uint32) command.Meaning {
	if code >= 0x910 && code <= 0x916 { // TPM_RC_REFERENCE_H0 to H6
		return command.Meaning{Name: "TPM_RC_REFERENCE", Text: "there is no object at that handle", Cause: attest.ErrNoKey}
	}
	if code&0x080 != 0 { // format one
		code &= 0x0bf
	}
	return meanings[code]
}
