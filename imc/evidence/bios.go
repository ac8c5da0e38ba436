package evidence

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/gotnc/gotnc/imc/evidence/bios"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

func openBIOS(name string) (*os.File, io.Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening bios measurements: %w", err)
	}
	return f, bufio.NewReaderSize(io.LimitReader(f, MaxBIOSLog), 64<<10), nil
}

// collectBIOS reports every event that extended the bank.
func (c *Collector) collectBIOS(ctx context.Context, n pts.ComponentName) error {
	if err := c.refused(c.cfg.BIOSLog); err != nil {
		return err
	}
	f, in, err := openBIOS(c.cfg.BIOSLog)
	if err != nil {
		return err
	}
	defer f.Close()
	g := c.newGroup(false)
	v := pts.SimpleComponentEvidence{Component: n, Hash: c.alg, Transform: pts.TransformMatch, Time: changeTime(f)}
	var info pts.PCRInfo
	banks := map[pcr.Hash]*pcr.Bank{}
	without, outside := 0, 0
	r := bios.NewReader(in)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if l, ok := e.StartupLocality(); ok && len(banks) == 0 {
			c.setLocality(l)
		}
		if !e.Extends() {
			continue
		}
		for _, d := range e.Digests {
			h := d.Algorithm
			b := banks[h]
			if b == nil {
				b = pcr.NewBank(h)
				b.SetLocality(c.locality)
				banks[h] = b
			}
			b.Extend(e.PCR, d.Sum)
		}
		v.PCR, v.Measurement, v.PCRs = e.PCR, e.Digest(c.bank.Hash()), nil
		switch {
		case v.Measurement == nil:
			without++
			continue
		case !c.extend(&v, &info):
			outside++
			continue
		}
		if err := c.add(g, &v); err != nil {
			return err
		}
	}
	c.aggregate, c.biosCount = banks, len(g.items)
	if err := c.collectSystemd(ctx, g, &v, &info); err != nil {
		return err
	}
	if without > 0 {
		log.Infof(c.log, "%d bios measurements have no %v digest", without, c.alg)
	}
	if outside > 0 {
		log.Infof(c.log, "%d bios measurements are of PCRs that the TPM does not have", outside)
	}
	log.Infof(c.log, "loaded bios measurements '%s' (%d entries)", c.cfg.BIOSLog, c.biosCount)
	return nil
}

// setLocality sets the initial value of PCR 0, unless an event extended it.
func (c *Collector) setLocality(l uint8) {
	if c.bank.Touched()&1 == 0 {
		c.locality = l
		c.bank.SetLocality(l)
	}
}

// localities that a TPM is started from (TCG PC Client Platform Firmware
// Profile section 10.4.5.3): 0, 3, and 4 after an H-CRTM.
var localities = [...]uint8{0, 3, 4}

// Locality reads the event log: the locality is that of an event, or the one with
// which the events lead to the value of PCR 0 or to the boot aggregate.
func (c *Collector) Locality(_ context.Context, alg pts.HashAlgorithms, pcr0 []byte) (uint8, bool) {
	f, in, err := openBIOS(c.cfg.BIOSLog)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if l, ok := locality(in, alg.Bank(), pcr0); ok {
		return l, true
	}
	h, sum, ok := c.bootAggregate()
	if !ok {
		return 0, false
	}
	for _, l := range localities {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, false
		}
		b := pcr.NewBank(h)
		in := bufio.NewReader(io.LimitReader(f, MaxBIOSLog))
		if _, err := bios.Replay(in, b, l); err != nil {
			return 0, false
		}
		if _, ok := matchAggregate(b, sum); ok {
			return l, true
		}
	}
	return 0, false
}

func locality(in io.Reader, h pcr.Hash, pcr0 []byte) (uint8, bool) {
	var banks [len(localities)]*pcr.Bank
	for i, l := range localities {
		banks[i] = pcr.NewBank(h)
		banks[i].SetLocality(l)
	}
	r := bios.NewReader(in)
	for {
		e, err := r.Next()
		if err != nil {
			break
		}
		if l, ok := e.StartupLocality(); ok {
			return l, true
		}
		if e.Extends() && e.PCR == 0 {
			for _, b := range banks {
				b.Extend(0, e.Digest(h))
			}
		}
	}
	for i, b := range banks {
		if len(pcr0) > 0 && bytes.Equal(b.Value(0), pcr0) {
			return localities[i], true
		}
	}
	return 0, false
}
