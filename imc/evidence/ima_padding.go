package evidence

import (
	"context"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/tpm/pcr"
)

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
	f, err := openIMA(cfg, 0)
	if err != nil {
		return 0, false, nil
	}
	defer f.Close()
	var banks [len(paddings)]pcr.Bank
	var matched [len(paddings)]bool
	for i := range banks {
		banks[i] = before
	}
	r := ima.NewReader(f, ima.Config{Hash: ListHash(cfg.IMALog)})
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
