package main

import (
	"crypto/x509"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/tnccs/pttls"
)

// ptTLS are the flags of pt-tls: those of strongSwan's pt-tls-client, and ours.
type ptTLS struct {
	options
	host, serverName string
	port             uint16
	cas, certs, crls []string
	revocation       string
	key, keyType     string
	client           string
	secret           string
	secretFile       string
	optionsFile      string
	debug            int
	quiet, mutual    bool
	stay             bool
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

With --stay the connection is kept after the decision: when an IMC or the server
asks for it, this machine is measured again and each decision printed. Ctrl-C
ends it.

The options of strongSwan's pt-tls-client work, also from a file: tnc pt-tls
--options FILE.

` + report.ExitHelp,
		Example: `  tnc pt-tls aaa.example.org --ca ca.pem --cert me.pem --key me.key
  tnc pt-tls aaa.example.org --ca ca.pem --client carol --secret-file pw --json
  tnc pt-tls aaa.example.org --ca ca.pem --cert me.pem --key me.key --stay --explain`,
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
	f.StringArrayVar(&o.crls, "crl", nil, "file with a CRL of those CAs, beside what the server and its certificate name; repeatable")
	f.StringVar(&o.revocation, "revocation", "relaxed", "refuse a server's certificate that is revoked (relaxed), also one whose state cannot be had where it names a CRL or OCSP responder (ifuri), or anywhere (strict)")
	f.StringArrayVar(&o.certs, "cert", nil, "file with this machine's certificate, or with CA certificates; repeatable")
	f.StringVar(&o.key, "key", "", "file with the private key of this machine's certificate")
	f.StringVar(&o.keyType, "key-type", "any", "what the key must be: rsa, ecdsa or any")
	f.StringVar(&o.client, "client", "", "name of this client for the password")
	f.StringVar(&o.secretFile, "secret-file", "", "file whose first line is the password")
	f.StringVar(&o.secret, "secret", "", "the password itself; others on this machine can read it, --secret-file is better")
	f.StringVar(&o.serverName, "server-name", "", "name in the server's certificate, where it is not HOST")
	strongswanFlag(cmd, &o.Strongswan)
	tncConfigFlag(cmd, &o.TNCConfig)
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	f.CountVarP(&o.verbose, "verbose", "v", "log as strongSwan does, on standard error; twice for details")
	f.BoolVar(&o.mutual, "mutual", false, "measure the server too, as tnc.mutual of strongswan.conf says")
	f.BoolVar(&o.stay, "stay", false, "stay connected for later assessments")
	f.BoolVar(&o.explain, "explain", false, "print what each verifier asked for and what it was answered, in plain words")
	f.StringVar(&o.optionsFile, "options", "", "file with further options")
	f.IntVar(&o.debug, "debug", 0, "the same as so many -v")
	f.BoolVar(&o.quiet, "quiet", false, "no log, whatever --debug says")
	f.StringVar(&o.optionsFile, "optionsfrom", "", "the same as --options")
	_ = f.MarkHidden("optionsfrom")
	return cmd
}

// run attests and prints the outcome.
func (o *ptTLS) run(cmd *cobra.Command) error {
	s, err := o.LoadIMCs()
	if err != nil {
		return err
	}
	warn(cmd.ErrOrStderr(), s)
	cfg, err := o.config(s, o.logger(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer clear(cfg.Secret)
	var p *report.Progress
	if o.verbose == 0 {
		p = report.NewProgress(cmd.ErrOrStderr())
	}
	defer p.End()
	out := &report.PTTLSOutcome{Server: net.JoinHostPort(strings.Trim(o.host, "[]"), strconv.Itoa(int(o.port))), Assessment: report.Assessment{Recommendation: client.None}, IMCs: []string{}}
	switch out.Identity = o.client; {
	case out.Identity != "":
	case cfg.Certificate != nil:
		out.Identity = cfg.Certificate.Leaf.Subject.String()
	}
	r := &ptTLSRun{ptTLS: o, profile: s, cfg: cfg, progress: p, out: out, begun: time.Now(), stdout: cmd.OutOrStdout()}
	err = r.attest(cmd.Context())
	p.End()
	out.SetExit(err)
	if !r.printed || err != nil && o.json {
		r.print(err)
	}
	return out.Exit()
}

// config makes the transport's configuration from the flags.
func (o *ptTLS) config(s *profile.Profile, logger *slog.Logger) (pttls.Config, error) {
	cfg := pttls.Config{ServerName: o.serverName, Identity: o.client, Logger: logger}
	if cfg.ServerName == "" {
		cfg.ServerName = strings.Trim(o.host, "[]")
	}
	var cas []*x509.Certificate
	var err error
	if cas, cfg.Certificate, err = o.credentials(); err != nil {
		return cfg, err
	}
	cfg.Roots = x509.NewCertPool()
	for _, ca := range cas {
		cfg.Roots.AddCert(ca)
	}
	if cfg.MinVersion, cfg.MaxVersion, err = s.TLSVersions(); err != nil {
		return cfg, err
	}
	if cfg.Verify, err = o.unrevoked(s, cas, logger); err != nil {
		return cfg, err
	}
	if cfg.Secret, err = o.password(); err != nil {
		return cfg, err
	}
	return cfg, nil
}
