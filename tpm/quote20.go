package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Quote signs PCRs of one bank and up to 64 octets of external data
// (TPM Library Part 3 §18.4).
func (t *V20) Quote(ctx context.Context, req QuoteRequest) (q *Quote, err error) {
	if req.AIK.Handle == 0 {
		return nil, fmt.Errorf("TPM quote: %w: set aik_handle", ErrNoKey)
	}
	if req.PCRs.Len() == 0 {
		return nil, errors.New("TPM quote: no PCRs selected")
	}
	if len(req.External) > 64 {
		return nil, fmt.Errorf("TPM quote: %w: %d octets, 64 at most", ErrExternal, len(req.External))
	}
	if req.Bank.Size() == 0 {
		return nil, fmt.Errorf("TPM quote: %w: %v", ErrNoBank, req.Bank)
	}
	err = t.do(ctx, "TPM quote", func(s *session20) error {
		key, err := s.readPublic(req.AIK.Handle)
		if err != nil {
			return err
		}
		for range pcrReadTries {
			before, err := s.readPCRs(req.Bank, req.PCRs)
			if err != nil {
				return err
			}
			if q, err = s.quote(key, req); err != nil {
				return err
			}
			if bytes.Equal(Digest20(q.Hash, before), q.Composite) {
				q.Values = before
				return nil
			}
			after, err := s.readPCRs(req.Bank, req.PCRs)
			if err != nil {
				return err
			}
			if bytes.Equal(Digest20(q.Hash, after), q.Composite) {
				q.Values = after
				return nil
			}
		}
		return nil // PCRs that never stand still: a good quote without Values
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}
