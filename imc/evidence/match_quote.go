package evidence

import (
	"bytes"
	"context"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Evidence begins with flags (1), depth (3), component name (8), type (1) and
// the PCR (3); the measurement ends it (TCG PTS Protocol Binding section 3.15.1).
const itemPCR = 13

// quoted is what a quote covers.
type quoted struct {
	pts.Quote
	pcrs pcr.Selection // that it covers
}

// agrees reports whether a bank has the quoted values of the PCRs of a list. Where the
// values are not known yet, those of the bank are tried, and known from then on if they
// are the ones.
func (q *quoted) agrees(b *pcr.Bank, pcrs pcr.Selection) bool {
	if q.Values == nil {
		return q.find(b, pcrs)
	}
	return agrees(b, pcrs, q.Values)
}

// find tries the values of a bank for the PCRs of a list, beside those PCRs that did
// not change.
func (q *quoted) find(b *pcr.Bank, pcrs pcr.Selection) bool {
	if q.Covers == nil {
		return false
	}
	all := pcr.Values{}
	for i := range pcr.Count {
		switch {
		case !q.pcrs.Has(i):
		case pcrs.Has(i):
			all[i] = b.Value(uint32(i))
		case q.Stable[i] != nil:
			all[i] = q.Stable[i]
		default:
			return false
		}
	}
	if !q.Covers(all) {
		return false
	}
	for i, v := range all {
		all[i] = bytes.Clone(v)
	}
	q.Values = all
	return true
}

// MatchQuote cuts the runtime measurements to those that the quote covers, or reads
// those that came before the quote was made. List and PCR are not read
// atomically; the kernel writes the list first, so that the list read after a
// quote holds all that the quote covers.
func (c *Collector) MatchQuote(ctx context.Context, of pts.Quote) (bool, error) {
	if c.bank == nil {
		return true, nil
	}
	s, q := c.ima, &quoted{of, c.pcrs}
	for i := range pcr.Count {
		if c.pcrs.Has(i) && q.Values[i] == nil && (q.Values != nil || q.Stable[i] == nil && (s == nil || !s.pcrs.Has(i))) {
			return false, nil
		}
	}
	if s == nil {
		return q.Values != nil && c.check(q.Values), nil
	}
	if s.offset > 0 && q.agrees(c.bank, s.pcrs) {
		return c.check(q.Values), nil
	}
	// Perhaps the quote is of before the last entries.
	if n, bank, ok := c.prefix(s, q); ok {
		g := &c.groups[s.group]
		dropped := c.bank.Touched() &^ bank.Touched()
		g.items, *c.bank = g.items[:n], bank
		c.pcrs &^= dropped
		// A PCR that no evidence is left of must not be quoted either.
		return c.check(q.Values) && dropped == 0, nil
	}
	if s.offset == 0 { // collection of the list failed
		return q.Values != nil && c.check(q.Values), nil
	}
	had := s.pcrs
	matched, err := c.readIMA(ctx, s, q)
	if err != nil {
		return false, err
	}
	if matched {
		return c.check(q.Values), nil
	}
	if s.pcrs == had {
		c.log.Info("ima measurements do not lead to the quoted value of their PCR")
	}
	return false, nil
}

// prefix looks for the number of entries after which the PCRs of the list have
// the quoted values.
func (c *Collector) prefix(s *imaSource, q *quoted) (n int, bank pcr.Bank, ok bool) {
	bank = s.before
	for i, item := range c.groups[s.group].items {
		p := uint32(item[itemPCR])<<16 | uint32(item[itemPCR+1])<<8 | uint32(item[itemPCR+2])
		bank.Extend(p, item[len(item)-bank.Size():])
		if q.agrees(&bank, s.pcrs) {
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

// agrees reports whether these PCRs have those values.
func agrees(b *pcr.Bank, pcrs pcr.Selection, values pcr.Values) bool {
	for i := range pcr.Count {
		if pcrs.Has(i) && !bytes.Equal(b.Value(uint32(i)), values[i]) {
			return false
		}
	}
	return true
}
