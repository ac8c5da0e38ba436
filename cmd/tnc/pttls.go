package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/internal/config"
	"github.com/gotnc/gotnc/internal/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tnccs/pttls"
)

// ptTLS are the flags of pt-tls: those of strongSwan's pt-tls-client, and ours.
type ptTLS struct {
	options
	host, serverName string
	port             uint16
	cas, certs       []string
	key, keyType     string
	client           string
	secret           string
	secretFile       string
	optionsFile      string
	debug            int
	quiet, mutual    bool
}

func newPTTLS() *cobra.Command {
	var o ptTLS
	cmd := &cobra.Command{
		Use:   "pt-tls HOST",
		Short: "Attest to a PT-TLS server, print the outcome",
		Long: `Connects to the PT-TLS server HOST (RFC 6876), answers what its verifiers ask
through the IMCs of tnc_config, and prints what they decided. The server's
certificate must come from a CA of --ca and hold the name HOST, before anything
is said to it. This end shows a certificate (--cert, --key), or a name and a
password (--client, --secret-file), as the server asks.

The options of strongSwan's pt-tls-client work, also from a file: tnc pt-tls
--options FILE.

` + exitHelp,
		Example: `  tnc pt-tls aaa.example.org --ca ca.pem --cert me.pem --key me.key
  tnc pt-tls aaa.example.org --ca ca.pem --client carol --secret-file pw --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.read(cmd, args); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.host, "connect", "", "HOST, as pt-tls-client takes it")
	f.Uint16Var(&o.port, "port", pttls.DefaultPort, "TCP port of the server")
	f.StringArrayVar(&o.cas, "ca", nil, "file with CA certificates that the server's may come from; repeatable")
	f.StringArrayVar(&o.certs, "cert", nil, "file with this machine's certificate, or with CA certificates; repeatable")
	f.StringVar(&o.key, "key", "", "file with the private key of this machine's certificate")
	f.StringVar(&o.keyType, "key-type", "any", "what the key must be: rsa, ecdsa or any")
	f.StringVar(&o.client, "client", "", "name of this client for the password")
	f.StringVar(&o.secretFile, "secret-file", "", "file whose first line is the password")
	f.StringVar(&o.secret, "secret", "", "the password itself; others on this machine can read it, --secret-file is better")
	f.StringVar(&o.serverName, "server-name", "", "name in the server's certificate, where it is not HOST")
	f.StringVar(&o.strongswan, "strongswan-conf", "", "strongswan.conf to read (default $STRONGSWAN_CONF, then /etc/strongswan.conf)")
	f.StringVar(&o.tncConfig, "tnc-config", "", "tnc_config to read (default libtnccs.tnc_config of strongswan.conf, then /etc/tnc_config)")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	f.CountVarP(&o.verbose, "verbose", "v", "log as strongSwan does, on standard error; twice for details")
	f.BoolVar(&o.mutual, "mutual", false, "measure the server too, as tnc.mutual of strongswan.conf says")
	f.StringVar(&o.optionsFile, "options", "", "file with further options")
	f.IntVar(&o.debug, "debug", 0, "the same as so many -v")
	f.BoolVar(&o.quiet, "quiet", false, "no log, whatever --debug says")
	f.StringVar(&o.optionsFile, "optionsfrom", "", "the same as --options")
	_ = f.MarkHidden("optionsfrom")
	return cmd
}

// run attests and prints the outcome.
func (o *ptTLS) run(cmd *cobra.Command) error {
	s := &setup{}
	var err error
	if o.strongswan != "" {
		s.strongswanPath = o.strongswan
		s.strongswan, err = config.Load(o.strongswan)
	} else {
		s.strongswan, err = config.LoadDefault()
	}
	if err != nil {
		return fmt.Errorf("read strongswan.conf: %w", err)
	}
	s.charon = s.strongswan.Charon()
	if err := s.loadTNCConfig(&o.options); err != nil {
		return err
	}
	for _, w := range s.strongswan.Warnings() {
		s.warnings = append(s.warnings, w)
	}
	s.warn(cmd.ErrOrStderr())
	cfg, err := o.config(s)
	if err != nil {
		return err
	}
	defer clear(cfg.Secret)
	var p *progress
	if cfg.Logger = o.logger(cmd.ErrOrStderr(), 0); o.verbose == 0 {
		p = newProgress(cmd.ErrOrStderr())
	}
	defer p.end()
	out := &ptTLSOutcome{Server: net.JoinHostPort(strings.Trim(o.host, "[]"), strconv.Itoa(int(o.port))), Recommendation: recNone, IMCs: []string{}}
	switch out.Identity = o.client; {
	case out.Identity != "":
	case cfg.Certificate != nil:
		out.Identity = cfg.Certificate.Leaf.Subject.String()
	}
	begin := time.Now()
	err = o.attest(cmd.Context(), s, cfg, p, out)
	out.Seconds = time.Since(begin).Seconds()
	p.end()
	out.settle(err)
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		_ = enc.Encode(out)
	} else if err == nil || out.Recommendation != recNone {
		out.writeTable(cmd.OutOrStdout())
	}
	switch out.ExitCode {
	case exitAllowed:
		return nil
	case exitFailure:
		return errors.New(out.Error)
	}
	return &exitError{code: out.ExitCode}
}

// attest loads the IMCs, connects and runs one session.
func (o *ptTLS) attest(ctx context.Context, s *setup, cfg pttls.Config, p *progress, out *ptTLSOutcome) error {
	tc, err := s.tncConfig(cfg.Logger)
	if err != nil {
		return err
	}
	if o.mutual && tc.Mutual == nil {
		policy, err := mutualPolicy(s.strongswan)
		if err != nil {
			return err
		}
		tc.Mutual = mutualServer(policy, cfg.Logger)
	}
	client, err := tnccs.NewClient(tc)
	if err != nil {
		return err
	}
	defer func() {
		if err := client.Close(); err != nil {
			log.Group(cfg.Logger, log.TNC).Warn(err.Error())
		}
	}()
	err = loadIMCs(client, s.imcs, imcOptions(s.strongswan, s.environ(), cfg.Logger), func(e dlimc.Entry) {
		p.note("loading IMC %q", e.Name)
		out.IMCs = append(out.IMCs, e.Name)
	})
	if err != nil {
		return err
	}
	p.note("connecting to %s", out.Server)
	conn, err := pttls.Dial(ctx, out.Server, cfg)
	if err != nil {
		return o.advise(err)
	}
	defer conn.Close()
	info := conn.Info()
	out.Server, out.ServerID, out.TLS, out.Authentication = info.Remote, info.ServerSubject, info.TLS, info.Authentication
	p.note("attestation")
	session := client.NewSession()
	defer session.Close()
	err = conn.Run(ctx, session)
	got := session.Outcome()
	out.take(got)
	if err == nil {
		err = got.Err
	}
	var lost []string
	for _, e := range got.IMCErrors {
		lost = append(lost, e.Error())
	}
	if err != nil && len(lost) > 0 {
		return fmt.Errorf("%w (%s)", o.advise(err), strings.Join(lost, "; "))
	}
	return o.advise(err)
}

// config makes the transport's configuration from the flags.
func (o *ptTLS) config(s *setup) (pttls.Config, error) {
	cfg := pttls.Config{ServerName: o.serverName, Identity: o.client}
	if cfg.ServerName == "" {
		cfg.ServerName = strings.Trim(o.host, "[]")
	}
	var err error
	if cfg.Roots, cfg.Certificate, err = o.credentials(); err != nil {
		return cfg, err
	}
	if cfg.MinVersion, err = tlsVersion(s.charon.TLS.VersionMin); err != nil {
		return cfg, fmt.Errorf("libtls.version_min: %w", err)
	}
	if cfg.MaxVersion, err = tlsVersion(s.charon.TLS.VersionMax); err != nil {
		return cfg, fmt.Errorf("libtls.version_max: %w", err)
	}
	if cfg.Secret, err = o.password(); err != nil {
		return cfg, err
	}
	return cfg, nil
}
