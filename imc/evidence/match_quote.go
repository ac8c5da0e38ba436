package evidence

import (
	"bytes"
	"context"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Evidence begins with flags (1), depth (3), component name (8), type (1) and
// the PCR (3); the measurement ends it (TCG PTS Protocol Binding section 3.15.1).
const itemPCR = 13

// MatchQuote cuts the runtime measurements to those that the quote covers, or reads
// those that came before the quote was made. List and PCR are not read
// atomically; the kernel writes the list first, so that the list read after a
// quote holds all that the quote covers.
func (c *Collector) MatchQuote(ctx context.Context, quoted pcr.Values) (bool, error) {
	if c.bank == nil {
		return true, nil
	}
	for i := range pcr.Count {
		if c.pcrs.Has(i) && quoted[i] == nil {
			return false, nil
		}
	}
	s := c.ima
	if s == nil {
		return c.check(quoted), nil
	}
	if s.offset > 0 && agrees(c.bank, s.pcrs, quoted) {
		return c.check(quoted), nil
	}
	// Perhaps the quote is of before the last entries.
	if n, bank, ok := c.prefix(s, quoted); ok {
		g := &c.groups[s.group]
		dropped := c.bank.Touched() &^ bank.Touched()
		g.items, *c.bank = g.items[:n], bank
		c.pcrs &^= dropped
		// A PCR that no evidence is left of must not be quoted either.
		return c.check(quoted) && dropped == 0, nil
	}
	if s.offset == 0 {
		return c.check(quoted), nil // collection of the list failed
	}
	had := s.pcrs
	matched, err := c.readIMA(ctx, s, quoted)
	if err != nil {
		return false, err
	}
	if matched {
		return c.check(quoted), nil
	}
	if s.pcrs == had {
		c.log.Info("ima measurements do not lead to the quoted value of their PCR")
	}
	return false, nil
}

// prefix looks for the number of entries after which the PCRs of the list have
// the quoted values.
func (c *Collector) prefix(s *imaSource, quoted pcr.Values) (n int, bank pcr.Bank, ok bool) {
	bank = s.before
	for i, item := range c.groups[s.group].items {
		p := uint32(item[itemPCR])<<16 | uint32(item[itemPCR+1])<<8 | uint32(item[itemPCR+2])
		bank.Extend(p, item[len(item)-bank.Size():])
		if agrees(&bank, s.pcrs, quoted) {
			return i + 1, bank, true
		}
	}
	return 0, bank, false
}

// check compares the PCRs of the BIOS events; where they differ the verifier
// will refuse, which another quote does not change: the log line says why.
func (c *Collector) check(quoted pcr.Values) bool {
	for i := range pcr.Count {
		value := c.bank.Value(uint32(i))
		if c.pcrs.Has(i) && c.bank.Touched().Has(i) && !bytes.Equal(value, quoted[i]) {
			log.Infof(c.log, "PCR %2d: the evidence leads to %x but the TPM quotes %x", i, value, quoted[i])
		}
	}
	return true
}

// agrees reports whether these PCRs have the quoted values.
func agrees(b *pcr.Bank, pcrs pcr.Selection, quoted pcr.Values) bool {
	for i := range pcr.Count {
		if pcrs.Has(i) && !bytes.Equal(b.Value(uint32(i)), quoted[i]) {
			return false
		}
	}
	return true
}
