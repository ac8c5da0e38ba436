// Package evidence collects what the functional components of ITA-HSR report:
// Linux IMA's BIOS events and runtime measurements, Trusted Boot and Trusted GRUB.
// It implements pts.Collector on the logs of the kernel.
package evidence

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Where the kernel has its logs.
const (
	DefaultBIOSLog = "/sys/kernel/security/tpm0/binary_bios_measurements"
	DefaultIMALog  = "/sys/kernel/security/ima/binary_runtime_measurements"
)

// Limits of the evidence of one request, whatever the logs hold.
const (
	MaxOctets  = 192 << 20 // encoded
	MaxBIOSLog = 64 << 20  // octets of log
	chunkSize  = 256 << 10
)

// ErrTooMuch ends the collection: what was collected is kept, but a verifier
// will not find the quoted values in it.
var ErrTooMuch = fmt.Errorf("evidence of more than %d octets", MaxOctets)

// Settings reads values of strongswan.conf; it is imc.Settings.
type Settings interface {
	String(key, def string) string
	Bool(key string, def bool) bool
}

// Config says what a Collector reads and how it reports.
type Config struct {
	Logger     *slog.Logger // nil discards
	BIOSLog    string       // "" = DefaultBIOSLog
	IMALog     string       // "" = DefaultIMALog
	IMASaved   []string     // parts of the list that the kernel exported and deleted, oldest first
	SystemdLog string       // "" = DefaultSystemdLog
	PCRInfo    bool         // report PCR values before and after with the evidence of IMA
	PCRPadding bool         // the kernel extends zero-padded SHA-1 digests into larger banks; the TPM's PCRs overrule it
	// TrustedBoot is reported as it is, for PCR 17 and 18.
	TrustedBoot [2]TrustedBoot
	Now         func() time.Time // nil: time.Now
	// Refused returns an error for an absolute path of which a verifier learns nothing;
	// nil refuses none. A log that is refused is not reported. In the list of IMA a name
	// that is refused is left out; its entry stays, since PCR values depend on it.
	Refused func(path string) error
}

// TrustedBoot is what a setting says of one PCR: 20 octets each in hex.
type TrustedBoot struct{ Before, Measurement, After string }

// FromSettings reads plugins.imc-attestation.{pcr_info,pcr_padding,pcr17_before,…}.
func FromSettings(s Settings, logger *slog.Logger) Config {
	return Config{
		Logger:     logger,
		PCRInfo:    settings.PCRInfo.Read(s),
		PCRPadding: settings.PCRPadding.Read(s),
		IMASaved:   settings.Words(settings.IMASaved.Read(s)),
		TrustedBoot: [...]TrustedBoot{
			{settings.PCR17Before.Read(s), settings.PCR17Meas.Read(s), settings.PCR17After.Read(s)},
			{settings.PCR18Before.Read(s), settings.PCR18Meas.Read(s), settings.PCR18After.Read(s)},
		},
	}
}

// Component names and qualifiers of ITA-HSR.
const (
	nameTrustedGRUB = 1
	nameTrustedBoot = 2
	nameLinuxIMA    = 3

	qualifierTrusted = 0x21 // kernel, trusted platform
	qualifierOS      = 0x22 // kernel, operating system

	pcrDebug      = 16
	pcrTrustedMin = 17 // and 18: Trusted Boot's policy and MLE
)

// group is the evidence of one component request, in order.
type group struct {
	items [][]byte // values of Simple Component Evidence
	ima   bool
}

// Collector implements pts.Collector. It is for one goroutine.
type Collector struct {
	cfg Config
	log *slog.Logger // PTS

	groups   []group
	octets   int
	chunk    []byte
	bank     *pcr.Bank // what the evidence leads to
	locality uint8
	alg      pts.HashAlgorithms
	pcrs     pcr.Selection

	biosCount int
	aggregate map[pcr.Hash]*pcr.Bank // per algorithm of the BIOS log
	ima       *imaSource
}

var _ pts.Collector = (*Collector)(nil)

// New returns a Collector without evidence.
func New(cfg Config) *Collector {
	if cfg.BIOSLog == "" {
		cfg.BIOSLog = DefaultBIOSLog
	}
	if cfg.IMALog == "" {
		cfg.IMALog = DefaultIMALog
	}
	if cfg.SystemdLog == "" {
		cfg.SystemdLog = DefaultSystemdLog
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Collector{cfg: cfg, log: log.Group(cfg.Logger, log.PTS)}
}

// Reset drops all evidence.
func (c *Collector) Reset() {
	*c = Collector{cfg: c.cfg, log: c.log}
}

// PCRs returns what a quote has to cover.
func (c *Collector) PCRs() pcr.Selection { return c.pcrs }

// Drain returns the evidence in the order of the requests, and drops it and
// the simulated PCRs.
func (c *Collector) Drain() []patnc.Attribute {
	n := 0
	for _, g := range c.groups {
		n += len(g.items)
	}
	out := make([]patnc.Attribute, 0, n+1)
	for _, g := range c.groups {
		for _, item := range g.items {
			out = append(out, patnc.Skip(patnc.Raw{T: pts.TypeSimpleComponentEvidence, Data: item}))
		}
	}
	c.Reset()
	return out
}

// Collect measures one component.
func (c *Collector) Collect(ctx context.Context, n pts.ComponentName, b pts.Bank) error {
	if n.Vendor != patnc.VendorITA || n.Family != 0 {
		return pts.ErrNoCollector
	}
	if c.bank == nil {
		c.bank, c.alg, c.locality = pcr.NewBank(b.Algorithm.Bank()), b.Algorithm, b.Locality
		c.bank.SetLocality(b.Locality)
	}
	if c.bank.Size() == 0 || b.Algorithm != c.alg {
		return fmt.Errorf("no PCR bank of %v", b.Algorithm)
	}
	switch {
	case n.Name == nameLinuxIMA && n.Qualifier == qualifierTrusted:
		return c.collectBIOS(ctx, n)
	case n.Name == nameLinuxIMA && n.Qualifier == qualifierOS:
		return c.collectIMA(ctx, n, b.TPM)
	case n.Name == nameTrustedBoot:
		return c.collectTrustedBoot(n)
	case n.Name == nameTrustedGRUB:
		return c.collectTrustedGRUB(ctx, n, b.TPM)
	case n.Name == nameLinuxIMA:
		return errors.New("unsupported functional component name qualifier")
	}
	return pts.ErrNoCollector
}

// refused returns the error of Config.Refused for a path; names that are not
// absolute are no paths.
func (c *Collector) refused(path string) error {
	if c.cfg.Refused == nil || !strings.HasPrefix(path, "/") {
		return nil
	}
	return c.cfg.Refused(path)
}

func (c *Collector) newGroup(ima bool) *group {
	c.groups = append(c.groups, group{ima: ima})
	return &c.groups[len(c.groups)-1]
}

// add encodes one piece of evidence. Many share one allocation.
func (c *Collector) add(g *group, v *pts.SimpleComponentEvidence) error {
	need := 128 + len(v.PolicyURI) + 3*pcr.MaxSize
	if c.octets+need > MaxOctets {
		return ErrTooMuch
	}
	if cap(c.chunk)-len(c.chunk) < need {
		c.chunk = make([]byte, 0, max(chunkSize, need))
	}
	at := len(c.chunk)
	b, err := v.AppendValue(c.chunk)
	if err != nil {
		return err
	}
	c.chunk = b
	item := b[at:len(b):len(b)]
	c.octets += len(item)
	g.items = append(g.items, item)
	return nil
}

// extend extends the simulated PCR and fills in what the evidence says of it.
func (c *Collector) extend(v *pts.SimpleComponentEvidence, info *pts.PCRInfo) bool {
	if c.cfg.PCRInfo {
		info.Before = append(info.Before[:0], c.bank.Value(v.PCR)...)
	}
	if !c.bank.Extend(v.PCR, v.Measurement) {
		return false
	}
	c.pcrs |= 1 << v.PCR
	if c.cfg.PCRInfo {
		info.After = append(info.After[:0], c.bank.Value(v.PCR)...)
		v.PCRs = info
	}
	return true
}

// collectTrustedBoot reports the settings: strongSwan does not read tboot's log
// either.
func (c *Collector) collectTrustedBoot(n pts.ComponentName) error {
	var evidence [2]pts.SimpleComponentEvidence
	for i, t := range c.cfg.TrustedBoot {
		var octets [3][]byte
		for j, s := range [...]string{t.Before, t.Measurement, t.After} {
			if s == "" {
				return fmt.Errorf("TBOOT: pcr%d_before, pcr%d_meas and pcr%d_after are not all set", pcrTrustedMin+i, pcrTrustedMin+i, pcrTrustedMin+i)
			}
			b, err := hex.DecodeString(s)
			if err != nil || len(b) != pts.SHA1.Size() {
				return errors.New("TBOOT measurement or PCR data have the wrong size")
			}
			octets[j] = b
		}
		evidence[i] = pts.SimpleComponentEvidence{
			Component: n, PCR: uint32(pcrTrustedMin + i), Hash: pts.SHA1, Transform: pts.TransformMatch,
			Time: c.cfg.Now(), Measurement: octets[1], PCRs: &pts.PCRInfo{Before: octets[0], After: octets[2]},
		}
	}
	g := c.newGroup(false)
	for i := range evidence {
		if err := c.add(g, &evidence[i]); err != nil {
			return err
		}
		if c.alg == pts.SHA1 {
			// A verifier takes the value after; only in this bank it can be quoted.
			c.pcrs |= 1 << evidence[i].PCR
		}
	}
	return nil
}

// collectTrustedGRUB reports PCR 16 as it is. It is not quoted.
func (c *Collector) collectTrustedGRUB(ctx context.Context, n pts.ComponentName, tpm pts.Quoter) error {
	if tpm == nil {
		return pts.ErrNoTPM
	}
	values, err := tpm.ReadPCRs(ctx, pts.SHA1, pcr.Select(pcrDebug))
	if err != nil {
		return fmt.Errorf("error occurred while reading PCR: %d: %w", pcrDebug, err)
	}
	after := values[pcrDebug]
	if len(after) != pts.SHA1.Size() {
		return fmt.Errorf("error occurred while reading PCR: %d", pcrDebug)
	}
	return c.add(c.newGroup(false), &pts.SimpleComponentEvidence{
		Component: n, PCR: pcrDebug, Hash: pts.SHA1, Transform: pts.TransformMatch, Time: c.cfg.Now(),
		Measurement: make([]byte, pts.SHA1.Size()),
		PCRs:        &pts.PCRInfo{Before: make([]byte, pts.SHA1.Size()), After: bytes.Clone(after)},
	})
}
