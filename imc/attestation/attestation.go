// Package attestation puts the Attestation IMC of this machine together: an Agent of
// package imc with the settings of strongswan.conf, files, packages, boot evidence and
// the TPM. The library imc-attestation.so has one, and so has the process that
// imc-attestation-stub.so starts.
package attestation

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/measure"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
)

// levelEnv overrides libimcv.debug_level: tnc sets it as --log says.
const levelEnv = "GOTNC_IMC_DEBUG_LEVEL"

// sectionEnv names the section of strongswan.conf that counts before charon: tnc
// sets it where it reads settings of charon-systemd.
const sectionEnv = "GOTNC_IMC_SECTION"

// siblingsEnv holds the paths of the client's IMCs, separated by colons, where each
// has a process of its own (tnccs/dlimc).
const siblingsEnv = "GOTNC_IMCS"

// Config says where the IMC runs. The zero value is usable.
type Config struct {
	// Version is the release, for the log.
	Version string
	// Program is the name of the host's program, without its folder, and Library the
	// path of the libstrongswan that it uses. They tell which strongswan.conf counts,
	// and which of its sections. Both may be empty.
	Program, Library string
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Logger returns the log, for hosts without one from a level on, and for standard
	// error only unless quiet. It is called once. nil discards.
	Logger func(least slog.Level, quiet bool) *slog.Logger
	// SiblingLoaded reports whether the host has loaded the library of that name
	// ("imc-os.so"), besides those that the environment names. nil: it has not.
	SiblingLoaded func(file string) bool
	// Measurer may replace what measures files, for tests; nil leaves it.
	Measurer func(pts.Measurer) pts.Measurer
}

// IMC is the Attestation IMC with what it holds open. Close it after
// (*imc.Agent).Terminate.
type IMC struct {
	*imc.Agent
	TPM *quoter.Quoter
}

// Close closes the TPM.
func (i *IMC) Close() { i.TPM.Close() }

// New reads the configuration, opens the log and returns the IMC, which is not
// initialized. A configuration that cannot be read is logged; defaults are in force
// then.
func New(c Config) *IMC {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	file := confFile(c.Getenv(config.Env), c.Library, isFile)
	cfg, err := config.Load(file)
	if cfg == nil {
		cfg = config.New()
	}
	if section := c.Getenv(sectionEnv); section != "" {
		cfg.Prefer(section, "charon")
	}
	l := c.logger(cfg)
	cfgLog := log.Group(l, log.CFG)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Getenv(config.Env) == "":
	case err != nil:
		log.Errorf(cfgLog, "the settings of %s are not used, the IMC runs with defaults: %v", file, err)
	}
	log.Infof(log.Group(l, log.LIB), "gotnc imc-attestation %s in %s", c.Version, c.Program)
	set := newSettings(cfg, namespaces(c.Program))
	files := measure.FilesFromSettings(set, l)
	var measurer pts.Measurer = files
	if c.Measurer != nil {
		measurer = c.Measurer(files)
	}
	ac, tpm := withTPM(imc.Config{
		Logger:        l,
		Settings:      set,
		Measurer:      measurer,
		Platform:      measure.PlatformFromSettings(set, l),
		Language:      language(settings.Language.Read(set), c.Getenv),
		SiblingLoaded: c.siblingLoaded,
	}, files.Policy.CheckDeny)
	made := &IMC{Agent: imc.New(ac), TPM: tpm}
	for _, w := range cfg.Warnings() { // of what was read by now
		log.Warnf(cfgLog, "%v", w)
	}
	return made
}

// logger opens the log as cfg says.
func (c *Config) logger(cfg *config.Config) *slog.Logger {
	if c.Logger == nil {
		return log.Discard()
	}
	level := settings.DebugLevel.In(cfg)
	if n, err := strconv.Atoi(c.Getenv(levelEnv)); err == nil {
		level = n
	}
	return c.Logger(slogLevel(level), settings.StderrQuiet.In(cfg))
}

// siblingLoaded reports whether the host has strongSwan's IMC of that name, before or
// after this one in its tnc_config.
func (c *Config) siblingLoaded(name string) bool {
	name += ".so"
	for path := range strings.SplitSeq(c.Getenv(siblingsEnv), ":") {
		if filepath.Base(path) == name {
			return true
		}
	}
	return c.SiblingLoaded != nil && c.SiblingLoaded(name)
}
