package attestation

import (
	"context"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/advice"
)

// withTPM adds the TPM, which the caller closes, the evidence that it vouches for, and
// the Device ID of imc-os.device_handle to an Agent's configuration. refused says what
// of the evidence a verifier does not learn.
func withTPM(cfg imc.Config, refused func(path string) error) (imc.Config, *quoter.Quoter) {
	qc := quoter.FromSettings(cfg.Settings, cfg.Logger)
	qc.Explain = advice.TPM
	q := quoter.New(qc)
	cfg.TPM = q
	collect := evidence.FromSettings(cfg.Settings, cfg.Logger)
	collect.Refused = refused
	cfg.Collector = func() pts.Collector { return evidence.New(collect) }
	cfg.Wait, cfg.WithTimeout, cfg.Now = sleep, context.WithTimeout, time.Now
	handle := settings.DeviceHandle.Read(cfg.Settings)
	if handle != "" && settings.DeviceID.Read(cfg.Settings) == "" {
		cfg.Platform = devicePlatform{Platform: cfg.Platform, handle: handle, quoter: q, log: log.Group(cfg.Logger, log.IMC)}
	}
	return cfg, q
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// devicePlatform answers the Device ID with the key identifier of a key in the
// TPM; where that fails, with what else the settings say, as strongSwan does.
type devicePlatform struct {
	imc.Platform
	handle string
	quoter *quoter.Quoter
	log    *slog.Logger
}

// Attribute implements imc.Platform.
func (p devicePlatform) Attribute(ctx context.Context, t patnc.Type) (patnc.Value, error) {
	if t == patnc.TypeITADeviceID {
		h, err := settings.ParseHandle(p.handle)
		if err == nil {
			var id string
			if id, err = p.quoter.KeyID(ctx, h); err == nil {
				return patnc.DeviceID{ID: id}, nil
			}
		}
		log.Warnf(p.log, "device ID from imc-os.device_handle %s: %v", p.handle, err)
	}
	return p.Platform.Attribute(ctx, t)
}
