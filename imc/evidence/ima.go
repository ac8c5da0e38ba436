package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// contextStep is how many entries are read between looks at the context.
const contextStep = 4096

// nameRefused is sent for the name of a file of which a verifier learns nothing.
const nameRefused = "(refused)"

// imaSource is what MatchQuote needs to go on where collectIMA ended.
type imaSource struct {
	name   pts.ComponentName
	group  int           // index into groups
	before pcr.Bank      // the bank before the first entry
	pcrs   pcr.Selection // extended by entries
	opts   ima.Config
	pad    ima.Padding
	offset int64 // of the log, where the next entry begins
}

func changeTime(f *os.File) time.Time {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix())
}

// collectIMA reports the runtime measurements that there are now.
func (c *Collector) collectIMA(ctx context.Context, n pts.ComponentName, tpm pts.Quoter) error {
	if c.ima != nil {
		return errors.New("ima runtime measurements were collected already")
	}
	if err := c.refused(c.cfg.IMALog); err != nil {
		return err
	}
	c.newGroup(true)
	s := &imaSource{name: n, group: len(c.groups) - 1, before: *c.bank, opts: ima.Config{Hash: ListHash(c.cfg.IMALog)}, pad: c.cfg.padding()}
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

// readIMA adds entries from where the last call ended: all, or with q up
// to the one after which all PCRs of the list have the quoted values.
func (c *Collector) readIMA(ctx context.Context, s *imaSource, q *quoted) (matched bool, err error) {
	f, err := openIMA(c.cfg, s.offset)
	if err != nil {
		return false, fmt.Errorf("opening ima measurements: %w", err)
	}
	defer f.Close()
	g := &c.groups[s.group]
	r := ima.NewReader(f, s.opts)
	v := pts.SimpleComponentEvidence{Component: s.name, Hash: c.alg, Transform: pts.TransformMatch, Time: changeTime(f.live), Validation: pts.ValidationPassed}
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
		if c.refused(fields.Name) != nil {
			fields.Name = nameRefused
		}
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
		if q != nil && q.agrees(c.bank, s.pcrs) {
			return true, nil
		}
	}
}
