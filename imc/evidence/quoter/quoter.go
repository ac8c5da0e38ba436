// Package quoter is a pts.Quoter on the machine's TPM: it opens the TPM when it
// is first needed, closes it when it was not used for a while, and bounds the time
// of every operation.
package quoter

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Bounds.
const (
	DefaultTimeout = 30 * time.Second // of one operation, retries of a busy TPM included
	idleTime       = 3 * time.Second  // after which an unused TPM is closed
	maxFile        = 64 << 10         // of a key or certificate
)

// Settings reads values of strongswan.conf; it is imc.Settings.
type Settings interface {
	String(key, def string) string
	Bool(key string, def bool) bool
}

// Config says which TPM and key to use.
type Config struct {
	Logger *slog.Logger // nil discards
	Device device.Config
	AIK    tpm.AIK
	// Kind is the kind of quote of a TPM 1.2; 0 means tpm.QuoteInfo2.
	Kind    tpm.QuoteKind
	Timeout time.Duration // 0 = DefaultTimeout
	// Open opens the TPM; nil means device.Open.
	Open func(context.Context) (tpm.TPM, error)
	// Explain appends a remedy to an error before it is returned, for logs that
	// people read; nil leaves errors unchanged.
	Explain func(error) error
}

// FromSettings reads plugins.tpm.tcti.{name,opts} and
// plugins.imc-attestation.{aik_handle,aik_blob,aik_cert,aik_pubkey,use_quote2,
// use_version_info}. A file that cannot be read is logged and left out, as with
// strongSwan.
func FromSettings(s Settings, logger *slog.Logger) Config {
	l := log.Group(logger, log.PTS)
	file := func(setting settings.Text, what string) []byte {
		name := setting.Read(s)
		if name == "" {
			return nil
		}
		b, err := readFile(name)
		if err != nil {
			log.Warnf(l, "loading %s from '%s' failed: %v", what, name, err)
			return nil
		}
		log.Detailf(l, "loaded %s from '%s'", what, name)
		return b
	}
	c := Config{
		Logger: logger,
		Device: device.Config{Name: settings.TCTIName.Read(s), Opts: settings.TCTIOpts.Read(s)},
		AIK: tpm.AIK{
			Certificate: file(settings.AIKCert, "AIK certificate"),
			PublicKey:   file(settings.AIKPubkey, "AIK public key"),
			Blob:        file(settings.AIKBlob, "AIK Blob"),
		},
		Kind: quoteKind(settings.UseQuote2.Read(s), settings.UseVersionInfo.Read(s)),
	}
	if h := settings.AIKHandle.Read(s); h != "" {
		var err error
		if c.AIK.Handle, err = settings.ParseHandle(h); err != nil {
			log.Warnf(l, "imc-attestation.aik_handle: %v", err)
		}
	}
	return c
}

// quoteKind returns the kind of quote that the settings use_quote2 and
// use_version_info want of a TPM 1.2.
func quoteKind(useQuote2, useVersionInfo bool) tpm.QuoteKind {
	switch {
	case !useQuote2:
		return tpm.QuoteInfo
	case useVersionInfo:
		return tpm.QuoteInfo2Version
	}
	return tpm.QuoteInfo2
}

func readFile(name string) ([]byte, error) {
	i, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !i.Mode().IsRegular() || i.Size() > maxFile {
		return nil, fmt.Errorf("not a regular file of at most %d octets", maxFile)
	}
	return os.ReadFile(name)
}

// Quoter implements pts.Quoter. It may be used by several goroutines, whose
// operations run one after the other.
type Quoter struct {
	cfg Config
	log *slog.Logger // PTS

	mu     sync.Mutex
	tpm    tpm.TPM // nil: not open
	idle   *time.Timer
	closed bool
}

var _ pts.Quoter = (*Quoter)(nil)

// New returns a Quoter; the TPM is not touched yet.
func New(cfg Config) *Quoter {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Open == nil {
		settings := cfg.Device
		cfg.Open = func(ctx context.Context) (tpm.TPM, error) { return device.Open(ctx, settings) }
	}
	return &Quoter{cfg: cfg, log: log.Group(cfg.Logger, log.PTS)}
}

// Close closes the TPM. Later operations fail.
func (q *Quoter) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.release()
}

// release closes the TPM; q.mu is held.
func (q *Quoter) release() {
	if q.idle != nil {
		q.idle.Stop()
	}
	if q.tpm != nil {
		_ = q.tpm.Close()
		q.tpm = nil
	}
}

// with runs f with the open TPM.
func (q *Quoter) with(ctx context.Context, f func(ctx context.Context, t tpm.TPM) error) error {
	err := q.open(ctx, f)
	if err != nil && q.cfg.Explain != nil {
		err = q.cfg.Explain(err)
	}
	return err
}

// open opens the TPM where it is not open and runs f with it.
func (q *Quoter) open(ctx context.Context, f func(ctx context.Context, t tpm.TPM) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Timeout)
	defer cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return pts.ErrNoTPM
	}
	if q.idle != nil {
		q.idle.Stop()
	}
	if q.tpm == nil {
		t, err := q.cfg.Open(ctx)
		if errors.Is(err, tpm.ErrNoTPM) {
			return noTPM{err}
		}
		if err != nil {
			return err
		}
		q.tpm = t
		log.Detailf(q.log, "TPM %v opened", t.Generation())
	}
	err := f(ctx, q.tpm)
	if errors.Is(err, tpm.ErrGone) || errors.Is(err, tpm.ErrTimeout) {
		q.release() // the next operation opens the TPM again
		return err
	}
	if q.idle == nil {
		q.idle = time.AfterFunc(idleTime, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.release()
		})
	} else {
		q.idle.Reset(idleTime)
	}
	return err
}

// Algorithms returns those that the TPM has a bank of.
func (q *Quoter) Algorithms(ctx context.Context) (set pts.HashAlgorithms, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		banks, err := t.Banks(ctx)
		for _, h := range banks {
			set |= pts.HashAlgorithmOf(h)
		}
		if err == nil && set == 0 {
			return fmt.Errorf("the TPM has no PCR bank of a PTS measurement algorithm: %w", tpm.ErrNoBank)
		}
		return err
	})
	return set, err
}

// Info describes the TPM.
func (q *Quoter) Info(ctx context.Context) (info tpm.Info, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		var err error
		info, err = t.Info(ctx)
		return err
	})
	return info, err
}

// VersionInfo returns the value of TPM Version Information.
func (q *Quoter) VersionInfo(ctx context.Context) (info []byte, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		var err error
		info, err = t.VersionInfo(ctx)
		return err
	})
	return info, err
}

func (q *Quoter) identity(ctx context.Context, aik tpm.AIK) (id tpm.Identity, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		var err error
		id, err = t.Identity(ctx, aik)
		return err
	})
	if errors.Is(err, tpm.ErrNoKey) {
		err = fmt.Errorf("%w: %w", pts.ErrNoAIK, err)
	}
	return id, err
}

// AIK returns certificate or public key.
func (q *Quoter) AIK(ctx context.Context) (pts.AIK, error) {
	id, err := q.identity(ctx, q.cfg.AIK)
	return pts.AIK{Naked: id.Naked, DER: id.DER}, err
}

// KeyID returns the hexadecimal SHA-1 of the SubjectPublicKeyInfo of a key in a
// TPM 2.0: the Device ID of imc-os.device_handle.
func (q *Quoter) KeyID(ctx context.Context, handle uint32) (string, error) {
	id, err := q.identity(ctx, tpm.AIK{Handle: handle})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(id.KeyID[:]), nil
}

// ReadPCRs returns the values of a bank's PCRs.
func (q *Quoter) ReadPCRs(ctx context.Context, alg pts.HashAlgorithms, pcrs pcr.Selection) (out pcr.Values, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		var err error
		out, err = t.ReadPCRs(ctx, alg.Bank(), pcrs)
		return err
	})
	return out, err
}

// Quote signs PCRs and external data.
func (q *Quoter) Quote(ctx context.Context, alg pts.HashAlgorithms, pcrs pcr.Selection, external []byte) (out pts.Quote, err error) {
	err = q.with(ctx, func(ctx context.Context, t tpm.TPM) error {
		r, err := t.Quote(ctx, tpm.QuoteRequest{AIK: q.cfg.AIK, PCRs: pcrs, Bank: alg.Bank(), External: external, Kind: q.cfg.Kind})
		if err != nil {
			return err
		}
		out = pts.Quote{
			Final: pts.SimpleEvidenceFinal{
				Kind: pts.QuoteKind(r.Kind), CompositeHash: pts.HashAlgorithmOf(r.Hash), Composite: r.Composite, Signature: r.Signature,
				TPM20: pts.TPM20Quote{QualifiedSigner: r.QualifiedSigner, ClockInfo: r.ClockInfo, FirmwareVersion: r.FirmwareVersion, PCRSelection: r.PCRSelection},
			},
			Values: r.Values, Stable: r.Stable, Covers: r.Covers,
		}
		return nil
	})
	return out, err
}

// noTPM is the error of package tpm for a machine without TPM, as a pts.ErrNoTPM.
type noTPM struct{ error }

func (e noTPM) Unwrap() []error { return []error{pts.ErrNoTPM, e.error} }
