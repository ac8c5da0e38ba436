package profile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

const defaultTNCConfig = "/etc/tnc_config"

// TNCConfigPath returns which tnc_config is read: the file that is named, or the
// one of strongswan.conf; "" where that says none.
func (p *Profile) TNCConfigPath() string {
	if p.files.TNCConfig != "" {
		return p.files.TNCConfig
	}
	return p.Charon.TNCConfig
}

// readTNCConfig reads which IMCs to load. The default file may be missing: a
// gateway that asks for no attestation needs none.
func (p *Profile) readTNCConfig() error {
	path := p.TNCConfigPath()
	if path == "" {
		return nil
	}
	entries, problems, err := dlimc.ParseTNCConfig(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.files.TNCConfig == "" && path == defaultTNCConfig:
		p.Warnings = append(p.Warnings, fmt.Errorf("%s does not exist: no IMC is loaded, a gateway that asks for measurements gets none", path))
		return nil
	case err != nil:
		return fileError("tnc_config", err, "write it, or name another one with --tnc-config")
	case len(problems) > 0:
		return fmt.Errorf("read tnc_config: %w", errors.Join(problems...))
	}
	p.IMCs = entries
	return nil
}

// RequireIMC returns an error where the connection may be asked for measurements and
// tnc_config is there, but names no IMC: the gateway would not let this machine in.
// Without a tnc_config, or with a device such as /dev/null, nothing was meant to be
// measured.
func (p *Profile) RequireIMC() error {
	path := p.TNCConfigPath()
	st, err := os.Stat(path)
	if len(p.IMCs) > 0 || err != nil || !st.Mode().IsRegular() {
		return nil
	}
	if p.Connection == nil { // PT-TLS is for nothing else
		return fmt.Errorf("%s names no IMC, and the server asks for measurements: add a line IMC \"Attestation\" /path/of/imc-attestation.so, or give --tnc-config /dev/null", path)
	}
	if !attests(p.Connection) {
		return nil
	}
	return fmt.Errorf("%s names no IMC, and connection %q may be asked for measurements: add a line IMC \"Attestation\" /path/of/imc-attestation.so, or give --tnc-config /dev/null", path, p.Connection.Name)
}

// ListTNCConfig reads tnc_config with what is wrong in it, each a
// *dlimc.ConfigError. An error is that of a file that cannot be read.
func (p *Profile) ListTNCConfig() (entries []dlimc.Entry, problems []error, err error) {
	path := p.TNCConfigPath()
	if path == "" {
		return nil, nil, errors.New("tnc_config is set to nothing in strongswan.conf: no IMC is loaded; name a file with --tnc-config")
	}
	entries, problems, err = dlimc.ParseTNCConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s does not exist: no IMC is loaded; write a line IMC \"NAME\" /path/to/library.so for each", path)
	}
	if err != nil {
		return nil, nil, fileError("tnc_config", err, "")
	}
	return entries, problems, nil
}

// TNC returns the configuration of the TNC client in charon's settings. mutual
// measures the gateway too, whatever tnccs-20.mutual says.
func (p *Profile) TNC(logger *slog.Logger, mutual bool) (tnccs.Config, error) {
	sc := p.Strongswan
	cfg := tnccs.Config{
		Logger:            logger,
		PreferredLanguage: settings.PreferredLanguage.In(sc),
		MaxBatchSize:      settings.MaxBatchSize.In(sc),
		MaxMessageSize:    settings.MaxMessageSize.In(sc),
		MaxMessageSizeXML: settings.MaxMessageSizeXML.In(sc),
		Protocol:          tnccs.Protocol(settings.TNCProtocol.In(sc)),
		Tests: tnccs.Tests{
			NoSkip:  settings.TestNoSkip.In(sc),
			Version: uint8(settings.TestVersion.In(sc)),
		},
	}
	if err := checkSandbox(sc); err != nil {
		return cfg, err
	}
	required := p.MutualRequired()
	if mutual || settings.MutualMeasurement.In(sc) {
		policy, err := mutualPolicy(p.Strongswan)
		if err != nil {
			return cfg, err
		}
		cfg.Mutual, cfg.MutualRequired = mutualServer(policy, logger), required
	} else if required {
		return cfg, errors.New("tnc.mutual.required = yes measures nobody alone: set charon.plugins.tnccs-20.mutual = yes, or give pt-tls the flag --mutual")
	}
	return cfg, nil
}

// MutualRequired reports whether a gateway that does not let itself be measured
// is refused.
func (p *Profile) MutualRequired() bool {
	return settings.MutualRequired.In(p.Strongswan)
}

// IMCOptions returns how IMCs are loaded. Beside strongSwan's settings there are
// charon.plugins.tnc-imc.in_process, which loads all of them into this process
// instead of a child each, allow_writable and call_timeout. Once ctx is done calls end soon.
func (p *Profile) IMCOptions(ctx context.Context, logger *slog.Logger) dlimc.Config {
	return dlimc.Config{
		InProcess:     settings.InProcess.In(p.Strongswan),
		AllowWritable: settings.AllowWritable.In(p.Strongswan),
		CallTimeout:   settings.CallTimeout.Or(p.Strongswan, dlimc.DefaultCallTimeout),
		Logger:        logger,
		Env:           p.environ(),
		Context:       ctx,
		Sandbox:       p.sandbox(),
	}
}

// LoadIMCs loads the IMCs of tnc_config into the client, and calls loading
// before each. One that is lost later is loaded again for the next connection.
// The error names the entry.
func (p *Profile) LoadIMCs(client *tnccs.Client, o dlimc.Config, loading func(dlimc.Entry)) error {
	if len(p.IMCs) > 0 {
		log.Infof(log.Group(o.Logger, log.TNC), "loading IMCs from '%s'", p.IMCs[0].File)
	}
	o.Beside = p.IMCs
	for _, e := range p.IMCs {
		loading(e)
		err := dlimc.Add(client, e, o)
		switch le := new(dlimc.LoadError); {
		case errors.As(err, &le):
			return err // it names the entry and its line
		case err != nil:
			return fmt.Errorf("%s:%d: load IMC %q from %s: %w", e.File, e.Line, e.Name, e.Path, err)
		}
	}
	return nil
}

// tncMethod configures EAP-TNC and PT-EAP.
func (b *Builder) tncMethod() tnc.Config {
	return tnc.Config{
		Session:      b.session,
		FragmentSize: settings.TNCFragmentSize.In(b.Strongswan),
		MaxMessages:  settings.TNCMaxMessages.In(b.Strongswan),
		Logger:       b.logger,
	}
}
