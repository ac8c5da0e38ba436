package tpm20

import (
	"context"
	"time"
)

// Properties of the protection from guessing, TPM_PT_VAR (TPM Library Part 2 section
// 6.13).
const (
	propPermanent       = 0x200
	propLockoutCounter  = 0x20e
	propLockoutInterval = 0x210
	permanentInLockout  = 1 << 9 // of TPMA_PERMANENT
)

// Lockout is how far a TPM is from refusing every password.
type Lockout struct {
	Locked bool
	// Left is how many wrong passwords it takes until it is locked.
	Left int
	// Recovers is how long it takes until one more is allowed.
	Recovers time.Duration
}

// Lockout returns the state of the protection from guessing.
func (t *TPM) Lockout(ctx context.Context) (l Lockout, err error) {
	err = t.do(ctx, "read lockout", func(s *session) error {
		p, err := s.properties(propPermanent, propPermanent)
		if err != nil {
			return err
		}
		l.Locked = p[propPermanent]&permanentInLockout != 0
		if p, err = s.properties(propLockoutCounter, propLockoutInterval); err != nil {
			return err
		}
		l.Left = max(0, int(p[propLockoutCounter+1])-int(p[propLockoutCounter]))
		l.Recovers = time.Duration(p[propLockoutInterval]) * time.Second
		return nil
	})
	return l, err
}
