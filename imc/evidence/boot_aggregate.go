package evidence

import (
	"bytes"
	"errors"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// bootAggregate is the name of the first entry of a list: the digest of the PCRs
// that the firmware extended.
const bootAggregate = "boot_aggregate"

// bootAggregate returns the digest with which the list begins.
func (c *Collector) bootAggregate() (h pcr.Hash, sum []byte, ok bool) {
	f, err := openIMA(c.cfg, 0)
	if err != nil {
		return 0, nil, false
	}
	defer f.Close()
	e, err := ima.NewReader(f, ima.Config{Hash: ListHash(c.cfg.IMALog)}).Next()
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
	return pts.HashAlgorithmOf(h)
}

// checkBootAggregate compares the first entry with the PCRs that the BIOS
// events lead to, in the bank of the entry's own algorithm; without BIOS events
// there is nothing to compare with.
func (c *Collector) checkBootAggregate(e *ima.Entry, f ima.Fields) error {
	if f.Name != bootAggregate {
		log.Infof(c.log, "the list begins with %q, not with boot_aggregate: its beginning was exported and deleted, or was not carried over kexec", f.Name)
		return nil
	}
	if c.biosCount == 0 {
		return nil
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
func aggregateHash(algorithm string) (pcr.Hash, bool) {
	switch algorithm {
	case "", "sha1":
		return pcr.SHA1, true
	case "sha256":
		return pcr.SHA256, true
	case "sha384":
		return pcr.SHA384, true
	case "sha512":
		return pcr.SHA512, true
	}
	return 0, false
}

// matchAggregate says which PCRs the boot aggregate covers: 0 to 7 with SHA-1
// and with kernels before 5.8, else 0 to 9.
func matchAggregate(b *pcr.Bank, sum []byte) (last uint32, ok bool) {
	for _, last := range [...]uint32{9, 7} {
		if (last == 7 || b.Hash() != pcr.SHA1) && bytes.Equal(b.Digest(last), sum) {
			return last, true
		}
	}
	return 0, false
}
