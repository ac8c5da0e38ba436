package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

// options are the flags of attest and up.
type options struct {
	profile.Files
	dataplane string
	json      bool
	explain   bool // of attest
	verbose   int
	reattest  time.Duration // of up
	timeout   time.Duration // 0 = none
	keylog    string        // file for the keys; "" = none
	levels    string        // log levels by group, as charondebug
	printed   bool          // the outcome of up
}

// fileFlags adds the flags that name configuration files.
func (o *options) fileFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Swanctl, "swanctl", "", "swanctl.conf to read (default $SWANCTL_DIR/swanctl.conf, then /etc/swanctl/swanctl.conf)")
	f.StringVar(&o.IPsecConf, "ipsec-conf", "", "ipsec.conf to read in place of swanctl.conf, with ipsec.secrets and ipsec.d beside it")
	usage.StrongswanFlag(cmd, &o.Strongswan)
	tncConfigFlag(cmd, &o.TNCConfig)
}

func tncConfigFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "tnc-config", "", "tnc_config to read (default libtnccs.tnc_config of strongswan.conf, then /etc/tnc_config)")
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.fileFlags(cmd)
	f.StringVar(&o.dataplane, "dataplane", "auto", "who carries the packets: auto, xfrm, tun or none")
	_ = cmd.RegisterFlagCompletionFunc("dataplane", cobra.FixedCompletions([]string{"auto", "xfrm", "tun", "none"}, cobra.ShellCompDirectiveNoFileComp))
	f.StringVar(&o.keylog, "keylog", "", "write the keys of the IKE_SAs to this new file for Wireshark (its ikev2_decryption_table): who has it reads everything")
	f.StringVar(&o.levels, "log", "", "log levels by group, from -1 (silent) to 4, as in charondebug: \"tnc 3, imc 2, default 0\"")
	usage.TimeoutFlag(cmd, &o.timeout)
	usage.JSONFlag(cmd, &o.json)
	usage.VerboseFlag(cmd, &o.verbose)
}

// load reads the profile of the connection of that name, and refuses flag values
// that mean nothing.
func (o *options) load(name string) (*profile.Profile, error) {
	levels, err := profile.ParseLogLevels(o.levels)
	if err != nil {
		return nil, usage.Errorf("--log: %v", err)
	}
	if o.timeout < 0 {
		return nil, usage.Errorf("--timeout %v: a time cannot be negative", o.timeout)
	}
	switch o.dataplane {
	case "auto", "xfrm", "tun", "none":
		p, err := o.Files.Load(name, levels)
		return p, report.Configured(err)
	}
	return nil, usage.Errorf("--dataplane %s: not one of auto, xfrm, tun, none", o.dataplane)
}

// logger writes to w what -v asks for.
func (o *options) logger(w io.Writer) *slog.Logger {
	return profile.LogLevels(nil).Logger(w, o.verbose)
}
