// Package profile reads the configuration files of strongSwan into one Profile:
// a connection with its secrets, certificates and trusted CAs, the IMCs of
// tnc_config, and the settings of strongswan.conf. It makes the configuration of
// IKE_SAs and of the TNC client of it, and checks all of it (Check).
package profile

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// Profile is what was read from files for one connection, or where it comes
// from LoadSettings, for none.
type Profile struct {
	Strongswan *config.Config
	Charon     settings.Charon // of Strongswan

	// Swanctl, Connection and Roots are nil without a connection.
	Swanctl    *swanctl.Config
	Connection *swanctl.Connection
	Roots      *swanctl.Roots

	IMCs      []dlimc.Entry
	LogLevels LogLevels // those of the flag, or of ipsec.conf
	Warnings  []error   // what has no effect

	files    Files
	imcLevel int // of the log of IMCs; 0 = as strongswan.conf says
}

// LoadSettings reads strongswan.conf alone.
func (f Files) LoadSettings() (*Profile, error) {
	sc, err := f.strongswan()
	if err != nil {
		return nil, err
	}
	return &Profile{Strongswan: sc, Charon: settings.ReadCharon(sc), files: f}, nil
}

// LoadIMCs reads strongswan.conf and tnc_config.
func (f Files) LoadIMCs() (*Profile, error) {
	p, err := f.LoadSettings()
	if err != nil {
		return nil, err
	}
	if err := p.readTNCConfig(); err != nil {
		return nil, err
	}
	for _, w := range p.Strongswan.Warnings() {
		p.Warnings = append(p.Warnings, w)
	}
	return p, nil
}

// Load reads all files for the connection of that name. levels are the log
// levels that a flag asks for; where they are empty, those of ipsec.conf hold.
// The caller closes the profile.
func (f Files) Load(name string, levels LogLevels) (p *Profile, err error) {
	if p, err = f.LoadSettings(); err != nil {
		return nil, err
	}
	if p.Swanctl, err = f.Connections(); err != nil {
		return nil, err
	}
	p.setLogLevels(levels)
	if p.Connection, err = p.Swanctl.Connection(name); err != nil {
		return nil, p.InWords(err)
	}
	if p.Roots, err = p.Swanctl.Roots(p.Connection); err != nil {
		return nil, err
	}
	if err := p.readTNCConfig(); err != nil {
		return nil, err
	}
	for _, w := range p.Strongswan.Warnings() {
		p.Warnings = append(p.Warnings, w)
	}
	for _, w := range p.Swanctl.Warnings() {
		p.Warnings = append(p.Warnings, w)
	}
	for _, w := range p.Swanctl.Faults {
		p.Warnings = append(p.Warnings, w)
	}
	p.Warnings = append(p.Warnings, p.Roots.Warnings...)
	return p, nil
}

// Close zeroes the secrets.
func (p *Profile) Close() {
	if p.Swanctl != nil {
		p.Swanctl.Close()
	}
}

// missingSecret says how a shared secret that is missing is added: as a section
// of swanctl.conf's secrets, or a line of its kind in ipsec.secrets.
func (p *Profile) missingSecret(section, kind, owner string) string {
	if p.Swanctl.Folders != nil { // of ipsec.conf
		return strings.TrimSpace(fmt.Sprintf("%s : %s \"…\"", owner, kind)) + " is the line to add to ipsec.secrets"
	}
	return "add a section " + section + " with id and secret to secrets"
}

// environ is the environment of the children that hold the IMCs: they read the
// same strongswan.conf.
func (p *Profile) environ() []string {
	env := os.Environ()
	if p.files.Strongswan != "" {
		env = append(env, config.Env+"="+p.files.Strongswan)
	}
	if s := p.Strongswan.Preferred("charon"); s != "" {
		env = append(env, imcSectionEnv+"="+s)
	}
	if p.imcLevel > 0 {
		env = append(env, fmt.Sprintf("%s=%d", imcLevelEnv, p.imcLevel))
	}
	return env
}

// LogConfiguration logs what was read, as charon does at its start; version is this
// program's.
func (p *Profile) LogConfiguration(logger *slog.Logger, version string) {
	dmn, cfg := log.Group(logger, log.DMN), log.Group(logger, log.CFG)
	log.Infof(dmn, "Starting IKEv2 client tnc %s (%s, %s)", version, kernelName(), runtime.GOARCH)
	dir, ok := p.Swanctl.Folders["x509ca"]
	if !ok {
		dir = filepath.Join(p.Swanctl.Dir, "x509ca")
	}
	log.Infof(cfg, "loading ca certificates from '%s'", dir)
	for _, c := range p.Roots.Certs {
		log.Infof(cfg, "loaded ca certificate %q", c.Subject.String())
	}
	file := ""
	for _, x := range p.Swanctl.Secrets {
		if x.Pos.File != file {
			file = x.Pos.File
			log.Infof(cfg, "loading secrets from '%s'", file)
		}
		for _, id := range x.IDs {
			log.Infof(cfg, "loaded %s secret for %s", strings.ToUpper(x.Kind), id)
		}
	}
	log.Infof(cfg, "added configuration '%s'", p.Connection.Name)
}

// kernelName returns the name and release of the kernel, as in "Linux 6.1.0".
func kernelName() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
