package tpm12

import (
	"errors"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// ErrNoOwner is the cause where a TPM has no owner, and so no storage root key.
var ErrNoOwner = errors.New("the TPM has no owner")

// Response codes that decide something here (TPM Main Part 2 section 16).
const (
	rcAuthFail        = 0x01
	rcBadIndex        = 0x02
	rcNoEndorsement   = 0x23
	rcInvalidPostInit = 0x26
	rcAuthConflict    = 0x3b
	rcNeedsSelftest   = 0x801
)

// meanings explains response codes.
var meanings = map[uint32]command.Meaning{
	rcAuthFail:        {Name: "TPM_AUTHFAIL", Text: "the secret is wrong; the SRK's must be the well-known one (20 zero octets)"},
	0x06:              {Name: "TPM_DEACTIVATED", Text: "it is deactivated", Cause: command.ErrLocked},
	0x07:              {Name: "TPM_DISABLED", Text: "it is disabled", Cause: command.ErrLocked},
	0x08:              {Name: "TPM_DISABLED_CMD", Text: "the owner disabled the command", Cause: command.ErrLocked},
	0x0c:              {Name: "TPM_INVALID_KEYHANDLE", Text: "no such key is loaded", Cause: attest.ErrNoKey},
	0x0d:              {Name: "TPM_KEYNOTFOUND"},
	0x11:              {Name: "TPM_NOSPACE", Text: "it has no room for another key"},
	0x12:              {Name: "TPM_NOSRK", Text: "it has no storage root key", Cause: ErrNoOwner},
	0x14:              {Name: "TPM_OWNER_SET", Text: "it has an owner already"},
	0x18:              {Name: "TPM_WRONGPCRVAL", Text: "the PCRs have other values than those that the key is bound to", Cause: ErrPCRs},
	0x1c:              {Name: "TPM_FAILEDSELFTEST", Text: "its self-test failed"},
	0x1e:              {Name: "TPM_BADTAG"},
	0x21:              {Name: "TPM_DECRYPT_ERROR", Text: "the blob belongs to another TPM, or to an earlier owner"},
	rcNoEndorsement:   {Name: "TPM_NO_ENDORSEMENT", Text: "it has no endorsement key"},
	rcInvalidPostInit: {Name: "TPM_INVALID_POSTINIT", Text: "it was not started"},
	0x800:             {Name: "TPM_RETRY", Text: "it stays busy", Cause: command.ErrBusy},
	rcNeedsSelftest:   {Name: "TPM_NEEDS_SELFTEST", Text: "it is not tested yet", Cause: command.ErrBusy},
	0x802:             {Name: "TPM_DOING_SELFTEST", Text: "it is testing itself", Cause: command.ErrBusy},
	0x803:             {Name: "TPM_DEFEND_LOCK_RUNNING", Text: "it is locked after wrong secrets", Cause: command.ErrLocked},
}

// explain returns the meaning of a response code.
func explain(code uint32) command.Meaning { return meanings[code] }
