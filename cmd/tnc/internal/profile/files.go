package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/ipsecconf"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// Files names the configuration files that a Profile is read from. The zero
// value names those of the system.
type Files struct {
	Swanctl    string // "" = $SWANCTL_DIR/swanctl.conf, then /etc/swanctl/swanctl.conf
	IPsecConf  string // read in place of swanctl.conf; "" = none
	Strongswan string // "" = $STRONGSWAN_CONF, then /etc/strongswan.conf
	TNCConfig  string // "" = as strongswan.conf says
}

// Connections reads swanctl.conf, or ipsec.conf where that is named, or is the
// only one of the two that exists. The caller closes the result.
func (f Files) Connections() (*swanctl.Config, error) {
	m, err := f.connections()
	if err != nil {
		return nil, err
	}
	m.Match = matchOwner
	return m, nil
}

func (f Files) connections() (*swanctl.Config, error) {
	if f.IPsecConf != "" {
		m, err := f.ipsecConf(f.IPsecConf)
		if err != nil {
			return nil, fileError("ipsec.conf", err, "name another one with --ipsec-conf")
		}
		return m, nil
	}
	m, err := swanctl.Load(f.Swanctl)
	if errors.Is(err, fs.ErrNotExist) && f.Swanctl == "" {
		if _, serr := os.Stat(ipsecconf.DefaultPath); serr == nil {
			if m, err := f.ipsecConf(""); err == nil && len(m.Connections) > 0 {
				return m, nil
			}
		}
	}
	if err != nil {
		return nil, fileError("swanctl.conf", err, "name it with --swanctl, or an ipsec.conf with --ipsec-conf")
	}
	return m, nil
}

// ipsecConf reads an ipsec.conf as the settings of strongSwan's stroke plugin say.
func (f Files) ipsecConf(path string) (*swanctl.Config, error) {
	sc, err := f.strongswan()
	if err != nil {
		return nil, err
	}
	return ipsecconf.Config{Path: path, SecretsFile: settings.SecretsFile.In(sc), NoSwap: !settings.AllowSwap.In(sc)}.Load()
}

// usesIPsecConf reports whether the connections are those of an ipsec.conf.
func (f Files) usesIPsecConf() bool {
	if f.IPsecConf != "" || f.Swanctl != "" {
		return f.IPsecConf != ""
	}
	if _, err := os.Stat(swanctl.DefaultPath()); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err := os.Stat(ipsecconf.DefaultPath)
	return err == nil
}

// systemd is the program of strongSwan that swanctl.conf is for; what its section
// of strongswan.conf sets is in force before what charon's sets. ipsec.conf is
// charon's alone.
const systemd = "charon-systemd"

// strongswan reads strongswan.conf.
func (f Files) strongswan() (cfg *config.Config, err error) {
	if f.Strongswan != "" {
		cfg, err = config.Load(f.Strongswan)
	} else {
		cfg, err = config.LoadDefault()
	}
	if err != nil {
		return nil, fileError("strongswan.conf", err, "name another one with --strongswan-conf")
	}
	if cfg.Node(systemd).Exists() && !f.usesIPsecConf() {
		cfg.Prefer(systemd, "charon")
	}
	return cfg, nil
}

// IMCSettings returns what an IMC sees of strongswan.conf when tnc loads it.
func (f Files) IMCSettings() (config.View, error) {
	cfg, err := f.strongswan()
	if err != nil {
		return config.View{}, err
	}
	return cfg.View(settings.Sections...), nil
}

// fileError words why the configuration file what could not be read: where it
// is wrong, or what to do where it cannot be opened; missing is the advice for a
// file that does not exist.
func fileError(what string, err error, missing string) error {
	if at := new(config.Error); errors.As(err, &at) {
		return fmt.Errorf("read %s: %w", what, at) // with file and line
	}
	path := new(fs.PathError)
	if !errors.As(err, &path) {
		return fmt.Errorf("read %s: %w", what, err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w: %s", what, path, missing)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("read %s: %w: run as root, or as a user who may read it", what, path)
	}
	return fmt.Errorf("read %s: %w", what, path)
}
