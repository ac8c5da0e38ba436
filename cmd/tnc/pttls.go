package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/password"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/pttls"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	transport "github.com/gotnc/gotnc/tnccs/pttls"
)

// ptTLS are the flags of pt-tls: those of strongSwan's pt-tls-client, and more.
type ptTLS struct {
	pttls.Config
	files                                    profile.Files
	secret, secretFile, pinFile, optionsFile string
	verbose, debug                           int
	quiet, json, explain                     bool
	timeout                                  time.Duration // 0 = none

	progress   *report.Progress    // nil where there is a log
	transcript *explain.Transcript // of --explain, else nil
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
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Host, "connect", "", "HOST, as pt-tls-client takes it")
	f.Uint16Var(&o.Port, "port", transport.DefaultPort, "TCP port of the server")
	f.StringArrayVar(&o.CAs, "ca", nil, "file with CA certificates that the server's may come from; may be repeated")
	f.StringArrayVar(&o.CRLs, "crl", nil, "file with a CRL of those CAs, beside what the server and its certificate name; may be repeated")
	f.StringVar(&o.Revocation, "revocation", "relaxed", "refuse a server's certificate that is revoked (relaxed), also one whose state cannot be had where it names a CRL or OCSP responder (ifuri), or anywhere (strict)")
	f.StringArrayVar(&o.Certs, "cert", nil, "file with this machine's certificate, or with CA certificates; may be repeated")
	f.StringVar(&o.Key, "key", "", "file with the private key of this machine's certificate")
	f.StringVar(&o.KeyID, "keyid", "", "handle of this machine's private key in the TPM, as 0x81010001")
	f.StringArrayVar(&o.CertIDs, "certid", nil, "NV index of the TPM with this machine's certificate, as 0x01800001; may be repeated")
	f.StringVar(&o.pinFile, "pin-file", "", "file whose first line is the authorization value of the key in the TPM")
	f.StringVar(&o.KeyType, "key-type", "any", "what the key must be: rsa, ecdsa or any")
	f.StringVar(&o.Identity, "client", "", "name of this client for the password")
	f.StringVar(&o.secretFile, "secret-file", "", "file whose first line is the password")
	f.StringVar(&o.secret, "secret", "", "the password itself; others on this machine can read it, --secret-file is better")
	f.StringVar(&o.ServerName, "server-name", "", "name in the server's certificate, where it is not HOST")
	usage.StrongswanFlag(cmd, &o.files.Strongswan)
	tncConfigFlag(cmd, &o.files.TNCConfig)
	usage.TimeoutFlag(cmd, &o.timeout)
	usage.JSONFlag(cmd, &o.json)
	usage.VerboseFlag(cmd, &o.verbose)
	f.BoolVar(&o.Mutual, "mutual", false, "measure the server too, as tnc.mutual of strongswan.conf says")
	f.BoolVar(&o.Stay, "stay", false, "stay connected for later assessments")
	f.BoolVar(&o.explain, "explain", false, "print what each verifier asked for and what it was answered, in plain words")
	f.StringVar(&o.optionsFile, "options", "", "file with further options")
	f.IntVar(&o.debug, "debug", 0, "the same as so many -v")
	f.BoolVar(&o.quiet, "quiet", false, "no log, whatever --debug says")
	f.StringVar(&o.optionsFile, "optionsfrom", "", "the same as --options")
	_ = f.MarkHidden("optionsfrom")
	return cmd
}

// complete completes the flags from --options and checks them.
func (o *ptTLS) complete(cmd *cobra.Command, args []string) error {
	if o.optionsFile != "" {
		file := o.optionsFile
		words, err := pttls.ReadOptions(file)
		if err != nil {
			return err
		}
		if err := cmd.ParseFlags(words); err != nil {
			return usage.Errorf("%s: %w", file, err)
		}
		if o.optionsFile != file {
			return usage.Errorf("%s: it names a further file of options", file)
		}
		args = append(args, cmd.Flags().Args()...)
	}
	hosts := args
	if o.Host != "" {
		hosts = append(hosts, o.Host)
	}
	if len(hosts) != 1 {
		return usage.Errorf("tnc pt-tls needs one server, as in: tnc pt-tls aaa.example.org --ca ca.pem")
	}
	o.Host = hosts[0]
	switch strings.ToLower(o.KeyType) {
	case "rsa", "ecdsa", "any":
	default:
		return usage.Errorf("--key-type %s: not one of rsa, ecdsa, any", o.KeyType)
	}
	switch {
	case o.timeout < 0:
		return usage.Errorf("--timeout %v: a time cannot be negative", o.timeout)
	case len(o.CAs)+len(o.Certs) == 0:
		return usage.Errorf("no CA: name the file with the CA of the server's certificate with --ca")
	case o.Stay && o.Mutual:
		return usage.Errorf("--stay and --mutual exclude each other: where both ends measure, they take turns until the end")
	case o.Key != "" && o.KeyID != "":
		return usage.Errorf("--key and --keyid exclude each other")
	case o.secret != "" && o.secretFile != "":
		return usage.Errorf("--secret and --secret-file exclude each other")
	case (o.secret != "" || o.secretFile != "") && o.Identity == "":
		return usage.Errorf("a password needs the name that it belongs to: add --client")
	}
	o.verbose = max(o.verbose, o.debug)
	if o.quiet {
		o.verbose = 0
	}
	return nil
}

// run attests and prints the outcome.
func (o *ptTLS) run(cmd *cobra.Command) (err error) {
	if o.Profile, err = o.files.LoadIMCs(); err == nil {
		err = o.Profile.RequireIMC()
	}
	if err != nil {
		return report.Configured(err)
	}
	report.WriteWarnings(cmd.ErrOrStderr(), o.Profile.Warnings)
	o.Logger = profile.LogLevels(nil).Logger(cmd.ErrOrStderr(), o.verbose)
	if o.pinFile != "" {
		if o.PIN, err = pttls.ReadPassword(o.pinFile); err != nil {
			return err
		}
	}
	if o.secretFile != "" {
		if o.Secret, err = pttls.ReadPassword(o.secretFile); err != nil {
			return err
		}
	} else if o.secret != "" {
		o.Secret = []byte(o.secret)
	}
	if ask := password.Find(cmd.ErrOrStderr()); ask != nil && !o.json {
		o.Passphrase = func(file string) ([]byte, error) { return ask(cmd.Context(), "Passphrase of "+file) }
		if o.Identity != "" && len(o.Secret) == 0 {
			if o.Secret, err = ask(cmd.Context(), "Password of "+o.Identity); err != nil {
				return err
			}
		}
	}
	if o.verbose == 0 {
		o.progress = report.NewProgress(cmd.ErrOrStderr())
		defer o.progress.End()
	}
	if o.explain {
		o.transcript = &explain.Transcript{}
		o.Trace = o.transcript.Add
	}
	o.Progress = o.progress.Note
	ctx, met := client.WithTimeout(cmd.Context(), o.timeout)
	defer met()
	printed := false
	w := cmd.OutOrStdout()
	o.OnDecision = func(r pttls.Result) {
		met()
		o.progress.End()
		o.print(w, report.NewPTTLSOutcome(r, nil))
		if !o.json {
			fmt.Fprintf(w, "stays connected; Ctrl-C disconnects\n")
		}
		printed = true
	}
	c, err := pttls.New(o.Config)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Run(ctx)
	o.progress.End()
	err = report.ExplainPTTLS(r, client.TimedOut(ctx, err))
	out := report.NewPTTLSOutcome(r, err)
	if (!printed || err != nil && o.json) && (o.json || err == nil || out.Recommendation != client.None) {
		o.print(w, out)
	}
	return out.Exit()
}

// print prints the outcome.
func (o *ptTLS) print(w io.Writer, out *report.PTTLSOutcome) {
	if o.transcript != nil {
		out.Explained = o.transcript.Drain()
	}
	if o.json {
		_ = report.WriteJSON(w, out)
		return
	}
	out.WriteTable(w)
	if o.transcript != nil {
		fmt.Fprintln(w)
		explain.WriteTable(w, out.Explained)
	}
}
