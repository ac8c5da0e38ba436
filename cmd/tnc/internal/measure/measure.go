// Package measure prints what a verifier would be told of this machine, and whether
// the TPM bears it out, as the command measure does.
package measure

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm/advice"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Config says what is read.
type Config struct {
	Settings config.View // what an IMC sees of strongswan.conf
	Logger   *slog.Logger

	BIOSLog string // file; none leaves it out
	IMALog  string // file; none leaves it out
	// IMASaved are parts of the list that the kernel exported and deleted, oldest first;
	// none: as Settings say.
	IMASaved   []string
	SystemdLog string // file; none leaves it out
	Hash       string // PCR bank: sha1, sha256, sha384 or sha512; "" = as the IMC would choose
	HTML       string // file that the outcome is written to as a page; "" writes none
	TCTI       string // TPM; "" = as Settings say; none compares with none
}

// Outcome is what a verifier would be told; `--json` prints it, its field names
// are an interface for scripts.
type Outcome struct {
	Result   Result `json:"result"`
	Sentence string `json:"sentence"` // what Result means here
	TPM      *TPM   `json:"tpm"`      // null: none
	TPMError string `json:"tpm_error,omitempty"`
	AIK      string `json:"aik,omitempty"` // "certificate", "public key"
	AIKError string `json:"aik_error,omitempty"`
	*evidence.Report
	html     bool   // a page is wanted
	quoted   string // PCRs that the TPM signed for the page; "" where it was not asked
	unsigned error  // why it did not sign

	failed error // a TPM that is there or was named, and could not be read
}

// TPM describes the TPM that the logs were compared with.
type TPM struct {
	Generation   string   `json:"generation"`
	Manufacturer string   `json:"manufacturer"`
	Vendor       string   `json:"vendor,omitempty"`
	Revision     string   `json:"revision"`
	Firmware     string   `json:"firmware"`
	Banks        []string `json:"banks"`
}

// CheckLog says why a log that a flag names cannot be read as often as it takes.
// That the kernel has none of its own is part of the report.
func CheckLog(file, flag string) error {
	i, err := os.Stat(file)
	if err == nil && !i.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return usage.FileError(file, flag, err)
	}
	return nil
}

func logFile(name string) string {
	if name == "none" {
		return os.DevNull
	}
	return name
}

// notAsked is why there is no TPM where it is left out.
const notAsked = "not asked"

// Run measures. What of it failed is in Err of the outcome.
func Run(ctx context.Context, cfg Config) (*Outcome, error) {
	collect := evidence.FromSettings(cfg.Settings, cfg.Logger)
	collect.BIOSLog, collect.IMALog, collect.SystemdLog = logFile(cfg.BIOSLog), logFile(cfg.IMALog), logFile(cfg.SystemdLog)
	if len(cfg.IMASaved) > 0 {
		collect.IMASaved = cfg.IMASaved
	}
	set := quoter.FromSettings(cfg.Settings, cfg.Logger)
	set.Explain = advice.TPM
	if cfg.TCTI != "" {
		set.Device = device.ParseTCTI(cfg.TCTI)
	}
	q := quoter.New(set)
	defer q.Close()
	m := &Outcome{html: cfg.HTML != ""}
	bank, err := cfg.bank()
	if err != nil {
		return nil, err
	}
	var values pcr.Values
	if cfg.TCTI == "none" {
		m.TPMError = notAsked
	} else if banks, err := q.Algorithms(ctx); err != nil {
		m.TPMError = err.Error()
		if named := set.Device != (device.Config{}); named || !errors.Is(err, pts.ErrNoTPM) {
			m.failed = fmt.Errorf("the logs were not compared with the TPM: %w", err)
		}
	} else if values, err = m.readTPM(ctx, q, banks, &bank, evidence.New(collect).Algorithm()); err != nil {
		return nil, err
	}
	if m.Report, err = evidence.Inspect(ctx, collect, bank.alg, values); err != nil {
		return nil, err
	}
	m.conclude()
	return m, nil
}

// bank is which PCR bank is compared.
type bank struct {
	alg    pts.HashAlgorithms // of the flag, or the strongest
	hashes pts.HashAlgorithms // that strongswan.conf allows
	flag   bool               // alg is the flag's
	set    bool               // strongswan.conf names hashes
}

// bank reads the flag and the setting.
func (c *Config) bank() (b bank, err error) {
	setting := settings.HashAlgorithm.Read(c.Settings)
	b.set = setting != ""
	ok := false
	if b.hashes, ok = pts.HashAlgorithmsUpTo(cmp.Or(setting, "sha384")); !ok {
		return b, errors.New("imc-attestation.hash_algorithm of strongswan.conf is no algorithm: write sha1, sha256, sha384 or sha512")
	}
	b.alg = b.hashes.Strongest()
	if b.flag = c.Hash != ""; b.flag {
		set, ok := pts.HashAlgorithmsUpTo(c.Hash)
		if !ok {
			return b, usage.Errorf("--hash %s: not one of sha1, sha256, sha384, sha512", c.Hash)
		}
		b.alg = set.Strongest()
	}
	return b, nil
}

// of chooses among the banks of a TPM, as the IMC would where no flag says: that of
// the kernel's list, own, else the strongest. 0 is none.
func (b *bank) of(banks, own pts.HashAlgorithms) pts.HashAlgorithms {
	alg := b.alg
	if !b.flag {
		alg = (b.hashes & banks).Strongest()
		if !b.set && own != pts.SHA1 && b.hashes&banks&own != 0 {
			alg = own
		}
	}
	return alg & banks
}

// readTPM reads what the TPM is, the PCRs of the bank and the attestation key. It
// comes before the logs: they then hold at least what the PCRs hold. Without values
// there is no such bank, or it cannot be read.
func (m *Outcome) readTPM(ctx context.Context, q *quoter.Quoter, banks pts.HashAlgorithms, b *bank, own pts.HashAlgorithms) (pcr.Values, error) {
	info, err := q.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read TPM: %w", err)
	}
	m.TPM = &TPM{Generation: info.Generation.String(), Manufacturer: info.Manufacturer, Vendor: info.Vendor,
		Revision: info.Revision, Firmware: info.Firmware, Banks: strings.Split(banks.String(), "|")}
	var values pcr.Values
	if alg := b.of(banks, own); alg == 0 {
		m.noBank(BankMissing, b.alg, fmt.Errorf("the TPM has no PCR bank that is asked for: it has %v", banks))
	} else if values, err = q.ReadPCRs(ctx, alg, pcr.All); err == nil {
		b.alg = alg
	} else if r := bankError(err); r != "" {
		b.alg = alg
		m.noBank(r, alg, err)
	} else {
		return nil, fmt.Errorf("read PCRs: %w", err)
	}
	defer func() {
		if m.AIK != "" && values != nil && m.html {
			m.sign(ctx, q, b.alg)
		}
	}()
	switch aik, err := q.AIK(ctx); {
	case err != nil:
		m.AIKError = err.Error()
	case aik.Naked:
		m.AIK = "public key"
	default:
		m.AIK = "certificate"
	}
	return values, nil
}

// sign lets the TPM sign the PCRs that a boot extends, as a verifier would ask for it.
func (m *Outcome) sign(ctx context.Context, q *quoter.Quoter, alg pts.HashAlgorithms) {
	nonce := make([]byte, 20)
	_, _ = rand.Read(nonce)
	pcrs := pcr.Select(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	if _, m.unsigned = q.Quote(ctx, alg, pcrs, nonce); m.unsigned == nil {
		m.quoted = pcrs.String()
	}
}

// Err says what a verifier would refuse, or what could not be measured or compared.
func (m *Outcome) Err() error {
	failed := m.failed
	if err := m.Unread(); failed == nil && err != nil {
		failed = fmt.Errorf("not all was measured: %w", err)
	}
	if err := m.uncompared(); failed == nil && err != nil {
		return err
	}
	switch d := m.Difference; {
	case d != nil && m.failed != nil:
		return fmt.Errorf("a verifier would refuse this machine: %v; %w", d, m.failed)
	case d != nil:
		return fmt.Errorf("a verifier would refuse this machine: %v", d)
	}
	return failed
}
