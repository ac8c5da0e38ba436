package tpm12

import (
	"context"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// Constants of the protection from guessing (TPM Main Part 2 sections 3.1, 4.4, 21.1).
const (
	capDALogic       = 0x19
	entityKey        = 1 // TPM_ET_KEYHANDLE
	tagDAInfo        = 0x37
	tagDAInfoLimited = 0x38
)

// Lockout is how far a TPM is from refusing every secret.
type Lockout struct {
	Locked bool
	// Left is how many wrong secrets it takes until it is locked; 2 where the TPM does
	// not say.
	Left int
}

// unknownLeft is the Left of a TPM that does not say.
const unknownLeft = 2

// Lockout returns the state of the protection of keys from guessing.
func (t *TPM) Lockout(ctx context.Context) (l Lockout, err error) {
	err = t.do(ctx, "read lockout", func(s *session) error {
		const name = "TPM_GetCapability"
		params := wire.AppendU16(wire.AppendU32(wire.AppendU32(nil, capDALogic), 2), entityKey)
		_, out, err := s.run(name, ordGetCapability, nil, params, 0)
		if re := new(command.ResponseError); errors.As(err, &re) && re.Cause == nil { // the TPM does not have it
			l.Left = unknownLeft
			return nil
		}
		if err != nil {
			return err
		}
		b, err := outVec(name, out)
		if err != nil {
			return err
		}
		if l, err = ParseDAInfo(b); err != nil {
			return command.ReplyError(name, err)
		}
		return nil
	})
	return l, err
}

// ParseDAInfo decodes a TPM_DA_INFO or TPM_DA_INFO_LIMITED (TPM Main Part 2 sections
// 3.2 and 3.3):
//
//	u16 0x37 | u8 state | u16 current count | u16 threshold | u16 tag, u32 actions
//	| u32 value of the action | u32 n, vendor's data
//	u16 0x38 | u8 state | u16 tag, u32 actions | u32 n, vendor's data
func ParseDAInfo(b []byte) (Lockout, error) {
	r := wire.NewReader("TPM_DA_INFO", b)
	tag, left := r.U16(), unknownLeft
	if r.Err() == nil && tag != tagDAInfo && tag != tagDAInfoLimited {
		r.Fail(0, fmt.Errorf("%w: tag 0x%04x", wire.ErrValue, tag))
	}
	at := r.Offset()
	state := r.U8()
	if r.Err() == nil && state > 1 {
		r.Fail(at, wire.ErrValue)
	}
	if tag == tagDAInfo {
		count, threshold := int(r.U16()), int(r.U16())
		left = max(0, threshold-count)
	}
	r.Skip(2 + 4)
	if tag == tagDAInfo {
		r.Skip(4)
	}
	vec32(r)
	if err := r.Finish(); err != nil {
		return Lockout{}, err
	}
	return Lockout{Locked: state == 1, Left: left}, nil
}
