package tpm12

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Banks returns SHA1, the only one.
func (t *TPM) Banks(context.Context) ([]pcr.Hash, error) { return []pcr.Hash{pcr.SHA1}, nil }

// ReadPCRs returns values of PCRs. The bank is SHA1.
func (t *TPM) ReadPCRs(ctx context.Context, bank pcr.Hash, pcrs pcr.Selection) (values pcr.Values, err error) {
	if bank != pcr.SHA1 {
		return nil, fmt.Errorf("read PCRs %v: %w: a TPM 1.2 has SHA-1 only, not %v", pcrs, attest.ErrNoBank, bank)
	}
	err = t.do(ctx, fmt.Sprintf("read PCRs %v", pcrs), func(s *session) error {
		values, err = s.readPCRs(pcrs)
		return err
	})
	return values, err
}

func (s *session) readPCRs(pcrs pcr.Selection) (pcr.Values, error) {
	values := make(pcr.Values, pcrs.Len())
	for _, i := range pcrs.PCRs() {
		_, out, err := s.run("TPM_PCRRead", ordPCRRead, nil, wire.AppendU32(nil, uint32(i)), 0)
		if err != nil {
			return nil, err
		}
		if len(out) != pcr.SHA1.Size() {
			return nil, command.ReplyError("TPM_PCRRead", wire.ErrLength)
		}
		values[i] = bytes.Clone(out)
	}
	return values, nil
}

// ExtendPCR extends PCR i by the SHA-1 digest among the given ones, as a boot
// loader does.
func (t *TPM) ExtendPCR(ctx context.Context, i int, digests map[pcr.Hash][]byte) error {
	d := digests[pcr.SHA1]
	if len(d) != pcr.SHA1.Size() {
		return fmt.Errorf("extend PCR %d: a TPM 1.2 needs a digest of 20 octets", i)
	}
	return t.do(ctx, fmt.Sprintf("extend PCR %d", i), func(s *session) error {
		_, _, err := s.run("TPM_Extend", ordExtend, nil, append(wire.AppendU32(nil, uint32(i)), d...), 0)
		return err
	})
}
