package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// options are the flags of attest and up.
type options struct {
	swanctl    string // "" = swanctl.DefaultPath
	ipsecConf  string // in place of swanctl.conf
	strongswan string // "" = $STRONGSWAN_CONF, then /etc/strongswan.conf
	tncConfig  string // "" = as strongswan.conf says
	dataplane  string
	json       bool
	explain    bool // of attest
	verbose    int
	reattest   time.Duration // of up
	keylog     string        // file for the keys; "" = none
	levels     string        // log levels by group, as charondebug
}

// files are the flags that name configuration files.
func (o *options) files(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.swanctl, "swanctl", "", "swanctl.conf to read (default $SWANCTL_DIR/swanctl.conf, then /etc/swanctl/swanctl.conf)")
	f.StringVar(&o.ipsecConf, "ipsec-conf", "", "ipsec.conf to read in place of swanctl.conf, with ipsec.secrets and ipsec.d beside it")
	f.StringVar(&o.strongswan, "strongswan-conf", "", "strongswan.conf to read (default $STRONGSWAN_CONF, then /etc/strongswan.conf)")
	f.StringVar(&o.tncConfig, "tnc-config", "", "tnc_config to read (default libtnccs.tnc_config of strongswan.conf, then /etc/tnc_config)")
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.files(cmd)
	f.StringVar(&o.dataplane, "dataplane", "auto", "who carries the packets: auto, xfrm, tun or none")
	_ = cmd.RegisterFlagCompletionFunc("dataplane", cobra.FixedCompletions([]string{"auto", "xfrm", "tun", "none"}, cobra.ShellCompDirectiveNoFileComp))
	f.StringVar(&o.keylog, "keylog", "", "write the keys of the IKE_SAs to this new file for Wireshark (its ikev2_decryption_table): who has it reads everything")
	f.StringVar(&o.levels, "log", "", "log levels by group, from -1 (silent) to 4, as in charondebug: \"tnc 3, imc 2, default 0\"")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	f.CountVarP(&o.verbose, "verbose", "v", "log as strongSwan does, on standard error; twice for details")
}

// check refuses flag values that mean nothing.
func (o *options) check() error {
	if _, err := parseLevels(o.levels); err != nil {
		return usageError("--log: %v", err)
	}
	switch o.dataplane {
	case "auto", "xfrm", "tun", "none":
		return nil
	}
	return usageError("--dataplane %s: not one of auto, xfrm, tun, none", o.dataplane)
}

// logger writes to w what -v asks for; base is the verbosity without -v.
func (o *options) logger(w io.Writer, base int) *slog.Logger {
	if levels, err := parseLevels(o.levels); err == nil && levels != nil {
		return levels.logger(w, o.verbose+base)
	}
	switch o.verbose + base {
	case 0:
		return log.NewWriter(w, slog.LevelWarn)
	case 1:
		return log.NewWriter(w, slog.LevelInfo)
	case 2:
		return log.NewWriter(w, log.LevelDetail)
	}
	return log.NewWriter(w, slog.LevelDebug)
}

// setup is everything that was read from files for one connection.
type setup struct {
	strongswan     *config.Config
	strongswanPath string // where the IMCs find it too; "" = their default
	charon         config.Charon
	swanctl        *swanctl.Config
	conn           *swanctl.Connection
	roots          *swanctl.Roots
	imcs           []dlimc.Entry
	warnings       []error
	imcLevel       int  // of the log of IMCs; 0 = as strongswan.conf says
	traced         bool // what was asked and answered is to be told
}

// newSetup is what strongswan.conf says.
func (o *options) newSetup() (*setup, error) {
	sc, err := readStrongswan(o.strongswan)
	if err != nil {
		return nil, err
	}
	return &setup{strongswanPath: o.strongswan, strongswan: sc, charon: sc.Charon()}, nil
}

// load reads the files for the connection of that name.
func (o *options) load(name string) (*setup, error) {
	s, err := o.newSetup()
	if err != nil {
		return nil, err
	}
	s.traced = o.explain
	if s.swanctl, err = o.connections(); err != nil {
		return nil, err
	}
	s.takeLevels(o)
	if s.conn, err = s.swanctl.Connection(name); err != nil {
		return nil, err
	}
	if s.roots, err = s.swanctl.Roots(s.conn); err != nil {
		return nil, err
	}
	if err := s.loadTNCConfig(o); err != nil {
		return nil, err
	}
	for _, w := range s.strongswan.Warnings() {
		s.warnings = append(s.warnings, w)
	}
	for _, w := range s.swanctl.Warnings() {
		s.warnings = append(s.warnings, w)
	}
	s.warnings = append(s.warnings, s.roots.Warnings...)
	return s, nil
}

// loadTNCConfig reads which IMCs to load. The default file may be missing: a
// gateway that asks for no attestation needs none.
func (s *setup) loadTNCConfig(o *options) error {
	path, named := o.tncConfig, o.tncConfig != ""
	if !named {
		path = s.charon.TNCConfig
	}
	if path == "" {
		return nil
	}
	entries, problems, err := dlimc.ParseTNCConfig(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && path == defaultTNCConfig:
		s.warnings = append(s.warnings, fmt.Errorf("%s does not exist: no IMC is loaded, a gateway that asks for measurements gets none", path))
		return nil
	case err != nil:
		return unread("tnc_config", err, "write it, or name another one with --tnc-config")
	case len(problems) > 0:
		return fmt.Errorf("read tnc_config: %w", problems[0])
	}
	s.imcs = entries
	return nil
}

const defaultTNCConfig = "/etc/tnc_config"

// close zeroes the secrets.
func (s *setup) close() { s.swanctl.Close() }

// addSecret says how a shared secret that is missing is added: as a section of
// swanctl.conf's secrets, or a line of its kind in ipsec.secrets.
func (s *setup) addSecret(section, kind, owner string) string {
	if s.swanctl.Folders != nil { // of ipsec.conf
		return strings.TrimSpace(fmt.Sprintf("%s : %s \"…\"", owner, kind)) + " is the line to add to ipsec.secrets"
	}
	return "add a section " + section + " with id and secret to secrets"
}

// environ is the environment of the children that hold the IMCs: they read the
// same strongswan.conf.
func (s *setup) environ() []string {
	env := os.Environ()
	if s.strongswanPath != "" {
		env = append(env, config.Env+"="+s.strongswanPath)
	}
	if s.imcLevel > 0 {
		env = append(env, fmt.Sprintf("%s=%d", imcLevelEnv, s.imcLevel))
	}
	return env
}

// warn prints warnings, one a line.
func (s *setup) warn(w io.Writer) {
	for _, err := range s.warnings {
		fmt.Fprintf(w, "tnc: warning: %v\n", err)
	}
}
