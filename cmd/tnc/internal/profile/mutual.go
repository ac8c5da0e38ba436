package profile

import (
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/server"
)

// mutualPolicy reads what the gateway is measured for in mutual measurement
// (charon.plugins.tnccs-20.mutual = yes):
//
//	tnc {
//	  mutual {
//	    hash = sha256
//	    product = Debian            # what the platform's name must begin with
//	    on_silence = deny           # the gateway has no Attestation IMC
//	    required = yes              # else a gateway that does not take part is let off
//	    files { sshd { path = /usr/sbin/sshd  digest = 8f3a… } }
//	  }
//	}
func mutualPolicy(c *config.Config) (imv.Policy, error) {
	p := imv.Policy{
		Hash:    settings.MutualHash.In(c),
		Product: settings.MutualProduct.In(c),
		Files:   map[string]string{},
	}
	for _, r := range []struct {
		setting settings.Text
		to      *imv.Recommendation
	}{{settings.MutualForce, &p.Force}, {settings.MutualOnSilence, &p.OnSilence}, {settings.MutualOnMismatch, &p.OnMismatch}} {
		text := r.setting.In(c)
		switch text {
		case "":
		case "allow":
			*r.to = imv.Allow
		case "isolate":
			*r.to = imv.Isolate
		case "deny":
			*r.to = imv.Deny
		default:
			val, _ := r.setting.Lookup(c)
			return p, val.Pos.Errorf("tnc.mutual.%s = %s: use allow, isolate or deny", val.Key, text)
		}
	}
	files := c.View("tnc.mutual.files")
	for _, name := range files.Sections("") {
		f := files.Below(name)
		path := settings.MutualFilePath.At(f)
		if path == "" {
			return p, fmt.Errorf("tnc.mutual.files.%s has no path: set path to the absolute name of a file on the gateway", name)
		}
		if p.Files[path] = settings.MutualFileDigest.At(f); p.Files[path] == "" {
			return p, fmt.Errorf("tnc.mutual.files.%s has no digest, so that any content would do: set digest to that of %s on the gateway, in hex", name, path)
		}
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("tnc.mutual: %w", err)
	}
	return p, nil
}

// mutualHalf is the TNC server that measures the gateway.
type mutualHalf struct{ *server.Session }

// Allowed accepts a full recommendation only: this side has nowhere to isolate
// a gateway.
func (m mutualHalf) Allowed() bool { return m.Session.Allowed() && !m.Isolated() }

func mutualServer(p imv.Policy, logger *slog.Logger) func(uint32) (tnccs.Server, error) {
	return func(uint32) (tnccs.Server, error) {
		v, err := imv.New(imv.Config{Policy: p, Logger: logger})
		if err != nil {
			return nil, err
		}
		return mutualHalf{server.New(server.Config{Logger: logger}, serverIMV{v})}, nil
	}
}
