package evidence

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

const bootAggregate = "boot_aggregate"

// contextStep is how many entries are read between looks at the context.
const contextStep = 4096

// imaSource is what MatchQuote needs to go on where collectIMA ended.
type imaSource struct {
	name   pts.ComponentName
	group  int           // index into groups
	before pcr.Bank      // the bank before the first entry
	pcrs   pcr.Selection // extended by entries
	opts   ima.Options
	pad    ima.Padding
	offset int64 // of the log, where the next entry begins
}

// ListHash returns the algorithm of the template digests of a list file, which
// its name tells: binary_runtime_measurements_sha256. 0 stands for SHA-1.
func ListHash(name string) crypto.Hash {
	switch {
	case strings.HasSuffix(name, "_sha256"):
		return crypto.SHA256
	case strings.HasSuffix(name, "_sha384"):
		return crypto.SHA384
	case strings.HasSuffix(name, "_sha512"):
		return crypto.SHA512
	}
	return 0
}

func changeTime(f *os.File) time.Time {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix())
}

// bootAggregate returns the digest with which the list begins.
func (c *Collector) bootAggregate() (h crypto.Hash, sum []byte, ok bool) {
	f, err := os.Open(c.cfg.IMALog)
	if err != nil {
		return 0, nil, false
	}
	defer f.Close()
	e, err := ima.NewReader(f, ima.Options{Hash: ListHash(c.cfg.IMALog)}).Next()
	if err != nil {
		return 0, nil, false
	}
	fields := e.Fields()
	h, ok = aggregateHash(fields.Algorithm)
	return h, bytes.Clone(fields.FileDigest), ok && fields.Name == bootAggregate
}

// Algorithm returns the algorithm of the boot aggregate.
func (c *Collector) Algorithm() pts.HashAlgorithms {
	h, _, ok := c.bootAggregate()
	if !ok {
		return 0
	}
	return pts.HashAlgorithmOf(pcr.FromCrypto(h))
}

// collectIMA reports the runtime measurements that there are now.
func (c *Collector) collectIMA(ctx context.Context, n pts.ComponentName, tpm pts.Quoter) error {
	if c.ima != nil {
		return errors.New("ima runtime measurements were collected already")
	}
	c.newGroup(true)
	s := &imaSource{name: n, group: len(c.groups) - 1, before: *c.bank, opts: ima.Options{Hash: ListHash(c.cfg.IMALog)}, pad: c.cfg.padding()}
	c.ima = s
	if c.alg != pts.SHA1 && tpm != nil {
		// What the kernel does is not to be seen in the list; the TPM tells.
		values, err := tpm.ReadPCRs(ctx, c.alg, pcr.All)
		if err != nil {
			return fmt.Errorf("error occurred while reading PCRs: %w", err)
		}
		pad, ok, err := findPadding(ctx, c.cfg, *c.bank, values)
		if err != nil {
			return err
		}
		if ok && pad != s.pad {
			log.Infof(c.log, "ima measurements lead to the TPM's PCRs with %v: that is reported", pad)
			s.pad = pad
		}
	}
	if _, err := c.readIMA(ctx, s, nil); err != nil {
		return err
	}
	log.Infof(c.log, "loaded ima measurements '%s' (%d entries)", c.cfg.IMALog, len(c.groups[s.group].items))
	return nil
}

// readIMA adds entries from where the last call ended: all, or with quoted up
// to the one after which all PCRs of the list have the quoted values.
func (c *Collector) readIMA(ctx context.Context, s *imaSource, quoted pcr.Values) (matched bool, err error) {
	f, err := os.Open(c.cfg.IMALog)
	if err != nil {
		return false, fmt.Errorf("opening ima measurements: %w", err)
	}
	defer f.Close()
	if s.offset > 0 {
		if _, err := f.Seek(s.offset, io.SeekStart); err != nil {
			return false, fmt.Errorf("reading ima measurements: %w", err)
		}
	}
	g := &c.groups[s.group]
	r := ima.NewReader(f, s.opts)
	v := pts.SimpleComponentEvidence{Component: s.name, Hash: c.alg, Transform: pts.TransformMatch, Time: changeTime(f), Validation: pts.ValidationPassed}
	if s.pad != ima.PadNone && c.alg != pts.SHA1 {
		v.Transform = pts.TransformShort
	}
	var info pts.PCRInfo
	var m [pcr.MaxSize]byte
	start := s.offset
	for n := 1; ; n++ {
		if n%contextStep == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		e, err := r.Next()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		fields := e.Fields()
		if start == 0 && e.Index == 0 {
			if err := c.checkBootAggregate(e, fields); err != nil {
				return false, err
			}
		}
		v.PCR, v.PCRs = e.PCR, nil
		v.PolicyURI = fields.PolicyURI(e.Template)
		v.Measurement = e.AppendMeasurement(m[:0], c.bank.Hash(), s.pad)
		if !c.extend(&v, &info) {
			return false, fmt.Errorf("ima measurement %d cannot extend PCR %d", len(g.items), e.PCR)
		}
		if err := c.add(g, &v); err != nil {
			return false, err
		}
		s.pcrs |= 1 << e.PCR
		s.offset, s.opts.Order = start+r.Offset(), r.Order()
		if quoted != nil && agrees(c.bank, s.pcrs, quoted) {
			return true, nil
		}
	}
}

// padding is what the setting pcr_padding says.
func (c Config) padding() ima.Padding {
	if c.PCRPadding {
		return ima.PadSHA1
	}
	return ima.PadNone
}

// paddings that a list is tried with, the likelier first.
var paddings = [...]ima.Padding{ima.PadNone, ima.PadMissing, ima.PadSHA1}

// findPadding replays the list in each way that kernels know and returns the
// one that leads to the TPM's PCRs; that of the settings where several do. An
// error is of the context; a list that cannot be read leads nowhere.
func findPadding(ctx context.Context, cfg Config, before pcr.Bank, tpm pcr.Values) (ima.Padding, bool, error) {
	f, err := os.Open(cfg.IMALog)
	if err != nil {
		return 0, false, nil
	}
	defer f.Close()
	var banks [len(paddings)]pcr.Bank
	var matched [len(paddings)]bool
	for i := range banks {
		banks[i] = before
	}
	r := ima.NewReader(f, ima.Options{Hash: ListHash(cfg.IMALog)})
	var m [pcr.MaxSize]byte
	var touched pcr.Selection
	for n := 1; ; n++ {
		if n%contextStep == 0 && ctx.Err() != nil {
			return 0, false, ctx.Err()
		}
		e, err := r.Next()
		if err != nil {
			break
		}
		touched |= 1 << e.PCR
		for i, p := range paddings {
			banks[i].Extend(e.PCR, e.AppendMeasurement(m[:0], before.Hash(), p))
			if agrees(&banks[i], touched, tpm) {
				matched[i] = true
			}
		}
	}
	found, ok := ima.PadNone, false
	for i := len(paddings) - 1; i >= 0; i-- {
		if matched[i] && (!ok || found != cfg.padding()) {
			found, ok = paddings[i], true
		}
	}
	return found, ok, nil
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

// checkBootAggregate compares the first entry with the PCRs that the BIOS
// events lead to, in the bank of the entry's own algorithm; without BIOS events
// there is nothing to compare with.
func (c *Collector) checkBootAggregate(e *ima.Entry, f ima.Fields) error {
	if c.biosCount == 0 {
		return nil
	}
	if f.Name != bootAggregate {
		return fmt.Errorf("ima: name must be 'boot_aggregate' but is %q", f.Name)
	}
	h, known := aggregateHash(f.Algorithm)
	b := c.aggregate[h]
	if !known || b == nil {
		log.Infof(c.log, "boot aggregate of algorithm %q cannot be checked: the BIOS events have no such digests", f.Algorithm)
		return nil
	}
	if last, ok := matchAggregate(b, f.FileDigest); ok {
		log.Infof(c.log, "boot aggregate computed over PCR0..PCR%d is correct", last)
		return nil
	}
	return errors.New("boot aggregate computed over PCR0..PCR9 is incorrect: the BIOS events do not lead to it")
}

// aggregateHash returns the hash function of an ima-ng digest; template ima has
// SHA-1.
func aggregateHash(algorithm string) (crypto.Hash, bool) {
	switch algorithm {
	case "", "sha1":
		return crypto.SHA1, true
	case "sha256":
		return crypto.SHA256, true
	case "sha384":
		return crypto.SHA384, true
	case "sha512":
		return crypto.SHA512, true
	}
	return 0, false
}

// matchAggregate says which PCRs the boot aggregate covers: 0 to 7 with SHA-1
// and with kernels before 5.8, else 0 to 9.
func matchAggregate(b *pcr.Bank, sum []byte) (last uint32, ok bool) {
	for _, last := range [...]uint32{9, 7} {
		if (last == 7 || b.Hash() != crypto.SHA1) && bytes.Equal(b.Digest(last), sum) {
			return last, true
		}
	}
	return 0, false
}

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
