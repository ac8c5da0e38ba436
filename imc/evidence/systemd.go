package evidence

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/gotnc/gotnc/imc/evidence/systemd"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// DefaultSystemdLog is where systemd logs what it measures.
const DefaultSystemdLog = "/run/log/systemd/tpm2-measure.log"

// MaxSystemdLog is the most octets of systemd's log that are read.
const MaxSystemdLog = 16 << 20

func openSystemd(name string) (*os.File, *systemd.Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return f, systemd.NewReader(io.LimitReader(f, MaxSystemdLog)), nil
}

// collectSystemd adds to the BIOS events what systemd measured later into the PCRs
// that they extend, as systemd-stub and the phases of the boot both extend PCR 11:
// without it the evidence would not lead to the quoted value. What systemd measures into
// other PCRs no verifier asks for, and is left out. A log that is missing or broken adds
// nothing.
func (c *Collector) collectSystemd(ctx context.Context, g *group, v *pts.SimpleComponentEvidence, info *pts.PCRInfo) error {
	if c.refused(c.cfg.SystemdLog) != nil {
		return nil
	}
	f, r, err := openSystemd(c.cfg.SystemdLog)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Infof(c.log, "%v", err)
		}
		return nil
	}
	defer f.Close()
	had, n := c.bank.Touched(), 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, err := r.Next()
		if err != nil {
			if err != io.EOF {
				log.Infof(c.log, "%v", err)
			}
			break
		}
		if rec.NvPCR != "" || !had.Has(int(rec.PCR)) {
			continue
		}
		v.PCR, v.Measurement, v.PCRs = rec.PCR, rec.Digest(c.bank.Hash()), nil
		if v.Measurement == nil || !c.extend(v, info) {
			continue
		}
		if err := c.add(g, v); err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		log.Infof(c.log, "loaded systemd measurements '%s' (%d entries)", c.cfg.SystemdLog, n)
	}
	return nil
}

// systemd replays systemd's log. A machine without it is not remarkable.
func (i *inspection) systemd(ctx context.Context) error {
	f, r, err := openSystemd(i.cfg.SystemdLog)
	if errors.Is(err, fs.ErrNotExist) || i.cfg.SystemdLog == os.DevNull {
		return nil
	}
	c := Component{Name: "systemd", Log: i.cfg.SystemdLog}
	defer func() { i.report.Components = append(i.report.Components, c) }()
	if err != nil {
		c.unopened(err)
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Mode()&fs.ModeSticky != 0 {
		i.note("systemd marked its log as incomplete: a measurement is missing in it")
	}
	nv := 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			c.Code, c.Error = LogMalformed, err.Error()
			break
		}
		if rec.NvPCR != "" {
			i.explainNV(rec)
			nv++
			continue
		}
		sum := rec.Digest(i.h)
		if sum == nil || !i.bank.Extend(rec.PCR, sum) {
			i.note("record %d of systemd's log extends no PCR of the bank %s", rec.Index+1, i.report.Bank)
			continue
		}
		c.Entries++
		i.entries[rec.PCR]++
		i.explain(rec.PCR, "systemd", systemdText(rec))
		i.systemdPCRs |= 1 << rec.PCR
	}
	if nv > 0 {
		i.note("%d measurements of systemd into NvPCRs are not compared", nv)
	}
	c.done()
	return nil
}

func systemdText(r *systemd.Record) string {
	if r.Type == "" {
		return r.Text
	}
	return r.Type + " " + r.Text
}
