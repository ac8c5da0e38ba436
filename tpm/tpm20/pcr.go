package tpm20

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Banks returns the hash algorithms of the PCR banks, weakest first.
func (t *TPM) Banks(ctx context.Context) (banks []pcr.Hash, err error) {
	err = t.do(ctx, "read PCR banks", func(s *session) error {
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, Property: 0, PropertyCount: 1}.Execute(s)
		if err != nil {
			return err
		}
		sel, err := rsp.CapabilityData.Data.AssignedPCR()
		if err != nil {
			return command.ReplyError("TPM2_GetCapability", err)
		}
		for _, b := range sel.PCRSelections {
			h := pcr.Hash(b.Hash)
			if h.Size() == 0 || len(b.PCRSelect) < 3 || b.PCRSelect[0]&b.PCRSelect[1]&b.PCRSelect[2] != 0xff || slices.Contains(banks, h) {
				continue
			}
			banks = append(banks, h)
		}
		slices.Sort(banks)
		return nil
	})
	return banks, err
}

// ReadPCRs returns values of one bank. It reads again where a PCR changes between
// the first command and the last, up to 8 times.
func (t *TPM) ReadPCRs(ctx context.Context, bank pcr.Hash, pcrs pcr.Selection) (values pcr.Values, err error) {
	if pcrs.Len() == 0 {
		return pcr.Values{}, nil
	}
	err = t.do(ctx, fmt.Sprintf("read PCRs %v of bank %v", pcrs, bank), func(s *session) error {
		values, err = s.readPCRs(bank, pcrs)
		return err
	})
	return values, err
}

// pcrReadTries is how often a set of PCRs that changes while it is read is read
// again.
const pcrReadTries = 8

// readPCRs reads PCRs until it has them without a change between, or has tried
// pcrReadTries times; then it returns the last values.
func (s *session) readPCRs(bank pcr.Hash, pcrs pcr.Selection) (pcr.Values, error) {
	var last pcr.Values
	for range pcrReadTries {
		values, whole, err := s.readPCRsOnce(bank, pcrs)
		if err != nil {
			return nil, err
		}
		if whole {
			return values, nil
		}
		last = values
	}
	return last, nil
}

// readPCRsOnce reads the PCRs, which takes a command for each eight. Whole says
// that no PCR was extended meanwhile, by the TPM's counter of updates.
func (s *session) readPCRsOnce(bank pcr.Hash, pcrs pcr.Selection) (values pcr.Values, whole bool, err error) {
	if bank.Size() == 0 {
		return nil, false, fmt.Errorf("%w: %v", attest.ErrNoBank, bank)
	}
	values = make(pcr.Values, pcrs.Len())
	var counter uint32
	whole = true
	for left, first := pcrs, true; left.Len() > 0; first = false {
		rsp, err := tpm2.PCRRead{PCRSelectionIn: selection(bank, left)}.Execute(s)
		if err != nil {
			return nil, false, err
		}
		if first {
			counter = rsp.PCRUpdateCounter
		} else if counter != rsp.PCRUpdateCounter {
			whole = false
		}
		got := pcr.Selection(0)
		for _, b := range rsp.PCRSelectionOut.PCRSelections {
			if pcr.Hash(b.Hash) != bank {
				continue
			}
			for i, o := range b.PCRSelect {
				if i < 3 {
					got |= pcr.Selection(o) << (8 * i)
				}
			}
		}
		digests := rsp.PCRValues.Digests
		if got&^left != 0 || len(digests) != got.Len() {
			return nil, false, command.ReplyError("TPM2_PCR_Read", errors.New("the values do not match the selection"))
		}
		if got == 0 {
			return nil, false, fmt.Errorf("%w: %v", attest.ErrNoBank, bank)
		}
		for n, i := range got.PCRs() {
			if len(digests[n].Buffer) != bank.Size() {
				return nil, false, command.ReplyError("TPM2_PCR_Read", fmt.Errorf("PCR %d has %d octets", i, len(digests[n].Buffer)))
			}
			values[i] = bytes.Clone(digests[n].Buffer)
		}
		left &^= got
	}
	return values, whole, nil
}

// selection returns the TPML_PCR_SELECTION of one bank for go-tpm.
func selection(bank pcr.Hash, pcrs pcr.Selection) tpm2.TPMLPCRSelection {
	m := pcrs.Bitmap()
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgID(bank), PCRSelect: m[:]}}}
}

// ExtendPCR extends PCR i in the banks that digests names, as a boot loader does.
func (t *TPM) ExtendPCR(ctx context.Context, i int, digests map[pcr.Hash][]byte) error {
	return t.do(ctx, fmt.Sprintf("extend PCR %d", i), func(s *session) error {
		cmd := tpm2.PCRExtend{PCRHandle: withPassword(tpm2.TPMHandle(i), nil, nil)}
		for _, h := range pcr.Hashes {
			d, ok := digests[h]
			if !ok {
				continue
			}
			if len(d) != h.Size() {
				return fmt.Errorf("digest of %d octets for bank %v", len(d), h)
			}
			cmd.Digests.Digests = append(cmd.Digests.Digests, tpm2.TPMTHA{HashAlg: tpm2.TPMAlgID(h), Digest: d})
		}
		_, err := cmd.Execute(s)
		return err
	})
}
