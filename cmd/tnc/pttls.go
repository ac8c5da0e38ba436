package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
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

// maxOptions is the longest file of --options and --secret-file, in octets.
const maxOptions = 64 << 10

// read completes the flags from --options and checks them.
func (o *ptTLS) read(cmd *cobra.Command, args []string) error {
	if o.optionsFile != "" {
		file := o.optionsFile
		words, err := readOptions(file)
		if err != nil {
			return err
		}
		if err := cmd.ParseFlags(words); err != nil {
			return usageError("%s: %w", file, err)
		}
		if o.optionsFile != file {
			return usageError("%s: it names a further file of options", file)
		}
		args = append(args, cmd.Flags().Args()...)
	}
	hosts := args
	if o.host != "" {
		hosts = append(hosts, o.host)
	}
	if len(hosts) != 1 {
		return usageError("tnc pt-tls needs one server, as in: tnc pt-tls aaa.example.org --ca ca.pem")
	}
	o.host = hosts[0]
	switch strings.ToLower(o.keyType) {
	case "rsa", "ecdsa", "any":
	default:
		return usageError("--key-type %s: not one of rsa, ecdsa, any", o.keyType)
	}
	switch {
	case len(o.cas)+len(o.certs) == 0:
		return usageError("no CA: name the file with the CA of the server's certificate with --ca")
	case o.secret != "" && o.secretFile != "":
		return usageError("--secret and --secret-file exclude each other")
	case (o.secret != "" || o.secretFile != "") && o.client == "":
		return usageError("a password needs the name that it belongs to: add --client")
	}
	o.verbose = max(o.verbose, o.debug)
	if o.quiet {
		o.verbose = 0
	}
	return nil
}

// readOptions splits a file of options into words: white space separates them,
// double quotes keep it, and # comments out the rest of the line.
func readOptions(file string) ([]string, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, usageError("read options: %w", err)
	}
	defer clear(b)
	var words []string
	for n, line := range strings.Split(string(b), "\n") {
		var word strings.Builder
		in, quoted := false, false
	chars:
		for _, r := range line {
			switch {
			case quoted && r == '"':
				quoted = false
			case r == '"':
				quoted, in = true, true
			case !quoted && (r == ' ' || r == '\t' || r == '\r'):
				if in {
					words = append(words, word.String())
				}
				word.Reset()
				in = false
			case !quoted && !in && r == '#':
				break chars
			default:
				in = true
				word.WriteRune(r)
			}
		}
		if quoted {
			return nil, usageError("%s:%d: a closing double quote is missing", file, n+1)
		}
		if in {
			words = append(words, word.String())
		}
	}
	return words, nil
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxOptions+1))
	if err == nil && len(b) > maxOptions {
		err = fmt.Errorf("%s: more than %d octets", file, maxOptions)
	}
	return b, err
}

// password returns the password, nil where there is none. It is to be zeroed.
func (o *ptTLS) password() ([]byte, error) {
	if o.secretFile == "" {
		if o.secret == "" {
			return nil, nil
		}
		return []byte(o.secret), nil
	}
	b, err := readSmall(o.secretFile)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("read the password: the first line of %s is empty", o.secretFile)
	}
	return line, nil
}

// ptTLSOutcome is what a run came to; --json prints it.
type ptTLSOutcome struct {
	Server         string   `json:"server"` // address and port
	ServerID       string   `json:"server_id"`
	Identity       string   `json:"identity"`
	Authentication string   `json:"authentication,omitempty"` // of ours: certificate, SASL PLAIN, …, none
	TLS            string   `json:"tls,omitempty"`
	Recommendation string   `json:"recommendation"` // allowed, isolated, denied, none
	Assessment     string   `json:"assessment,omitempty"`
	Reasons        []text   `json:"reasons,omitempty"`
	Remediation    []text   `json:"remediation,omitempty"`
	IMCs           []string `json:"imcs"`
	Batches        int      `json:"batches"`
	BytesSent      int64    `json:"bytes_sent"` // of batches
	BytesReceived  int64    `json:"bytes_received"`
	Seconds        float64  `json:"seconds"`
	Error          string   `json:"error,omitempty"`
	ExitCode       int      `json:"exit_code"`
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

// advise makes one sentence of a failure: what happened, and what to do.
func (o *ptTLS) advise(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before the assessment was over")
	case errors.As(err, &authority):
		return fmt.Errorf("the server's certificate was not accepted, and no password was sent: %w: name its CA with --ca", authority)
	case errors.As(err, &name):
		return fmt.Errorf("the server's certificate was not accepted, and no password was sent: %w: where the server goes by another name, give that with --server-name", name)
	case errors.Is(err, pttls.ErrTLS):
		return fmt.Errorf("no TLS connection, and no password was sent: %w", err)
	case errors.Is(err, pttls.ErrNoCredentials):
		return fmt.Errorf("%w: give --cert and --key, or --client and --secret-file", err)
	case errors.Is(err, pttls.ErrAuthentication):
		return fmt.Errorf("%w: check the credentials that were given, and that the server knows them", err)
	case errors.As(err, &dns):
		return fmt.Errorf("%w: check the name of the server and the name service", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens there; check the server and --port", err)
	}
	return err
}

// take brings in what the session came to.
func (out *ptTLSOutcome) take(o tnccs.Outcome) {
	out.Batches, out.BytesSent, out.BytesReceived = o.BatchesSent+o.BatchesReceived, o.BytesSent, o.BytesReceived
	switch o.Recommendation {
	case tnccs.RecommendAllow:
		out.Recommendation = recAllowed
	case tnccs.RecommendIsolate:
		out.Recommendation = recIsolated
	case tnccs.RecommendDeny:
		out.Recommendation = recDenied
	}
	if o.Assessment != tnccs.AssessmentNone {
		out.Assessment = o.Assessment.String()
	}
	for _, r := range o.Reasons {
		out.Reasons = append(out.Reasons, text{r.Text, r.Language})
	}
	for _, r := range o.Remediation {
		if r.URI != "" {
			out.Remediation = append(out.Remediation, text{Text: r.URI})
		} else if r.Text != "" {
			out.Remediation = append(out.Remediation, text{r.Text, r.Language})
		}
	}
}

// settle fixes the exit code. Without a recommendation nothing was granted.
func (out *ptTLSOutcome) settle(err error) {
	switch {
	case out.Recommendation == recDenied:
		out.ExitCode = exitDenied
	case err != nil:
		out.ExitCode, out.Error = exitFailure, err.Error()
	case out.Recommendation == recIsolated:
		out.ExitCode = exitIsolated
	case out.Recommendation == recAllowed:
		out.ExitCode = exitAllowed
	default:
		out.ExitCode, out.Error = exitFailure, "the server ended the assessment without a recommendation"
	}
}

func (out *ptTLSOutcome) writeTable(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(t, "%s\n", printable(out.Server))
	switch out.Recommendation {
	case recAllowed:
		row("decision", "access allowed")
	case recIsolated:
		row("decision", "isolated: only the remediation network is reachable")
	case recDenied:
		row("decision", "access denied")
	default:
		row("decision", "none: %s", out.Error)
	}
	if out.Assessment != "" {
		row("assessment", "%s", out.Assessment)
	}
	for _, r := range out.Reasons {
		row("reason", "%s", r.Text)
	}
	for _, r := range out.Remediation {
		row("what to do", "%s", r.Text)
	}
	row("server", "%s, %s", out.ServerID, out.TLS)
	who := out.Authentication
	if out.Identity != "" {
		who = out.Identity + ", " + who
	}
	row("identity", "%s", who)
	if len(out.IMCs) > 0 {
		row("measured by", "%s", strings.Join(out.IMCs, ", "))
	}
	row("cost", "%d batches, %d octets sent, %d received, %v", out.Batches, out.BytesSent, out.BytesReceived,
		time.Duration(out.Seconds*float64(time.Second)).Round(time.Millisecond))
	_ = t.Flush()
}

// notThere words a missing file.
func notThere(file, flag string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: there is no such file", flag, file)
	}
	return fmt.Errorf("%s %s: %w", flag, file, err)
}
