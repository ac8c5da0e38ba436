// Package pttls attests to a PT-TLS server (RFC 6876), as the command pt-tls does.
package pttls

import (
	"context"
	"crypto"
	"crypto/x509"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tnccs/pttls"
)

// Config describes one assessment.
type Config struct {
	Profile *profile.Profile // of LoadIMCs; required
	Logger  *slog.Logger     // nil discards

	Host       string // name or address of the server, an IPv6 address in brackets or not
	Port       uint16
	ServerName string // in the server's certificate; "" = Host

	CAs        []string // files with CA certificates
	Certs      []string // files with this end's certificate, or with CA certificates
	CRLs       []string // files
	Key        string   // file with the private key of this end's certificate; "" = none
	KeyType    string   // rsa, ecdsa or any
	KeyID      string   // handle of the private key in the TPM, in place of Key
	CertIDs    []string // NV indices of the TPM with certificates, beside Certs
	PIN        []byte   // authorization value of a key in the TPM; Close zeroes it
	Revocation string   // relaxed, ifuri or strict
	// Passphrase returns that of an encrypted Key; nil: such a key is refused.
	Passphrase func(file string) ([]byte, error)

	Identity string // name of this end for the password; "" = none
	Secret   []byte // the password; Close zeroes it

	Mutual bool // measure the server too
	Stay   bool // stay connected for later assessments

	Trace    func(tnccs.Exchange)             // gets every PA-TNC message; nil = none
	Progress func(format string, args ...any) // says what goes on; nil = nobody
	// OnDecision is called after each assessment of a connection that stays.
	OnDecision func(Result)

	tokens *tpmkey.Keys
}

// Result is what a run came to.
type Result struct {
	Server         string   // address and port
	ServerID       string   // subject of its certificate
	Identity       string   // of this end
	Authentication string   // of this end: certificate, SASL PLAIN, …, none
	TLS            string   // version and suite
	IMCs           []string // that were loaded, by name

	// Outcome is that of the newest assessment.
	Outcome  tnccs.Outcome
	Mutual   client.MutualVerdict
	Duration time.Duration
}

// Client is one connection: New, Run once, Close.
type Client struct {
	cfg       Config
	transport pttls.Config
	verify    profile.VerifyTLS
	result    Result
	started   time.Time
}

// New reads the certificates and keys.
func New(cfg Config) (*Client, error) {
	host := strings.Trim(cfg.Host, "[]")
	c := &Client{cfg: cfg, started: time.Now()}
	c.transport = pttls.Config{ServerName: cfg.ServerName, Identity: cfg.Identity, Secret: cfg.Secret, Logger: cfg.Logger}
	t := &c.transport
	if t.ServerName == "" {
		t.ServerName = host
	}
	keys := tpmkey.FromSettings(cfg.Profile.Strongswan, cfg.Logger)
	keys.Password = "--pin-file"
	c.cfg.tokens = tpmkey.New(keys)
	cas, own, err := c.cfg.credentials()
	if err != nil {
		c.Close()
		return nil, err
	}
	t.Certificate = own
	t.Roots = x509.NewCertPool()
	for _, ca := range cas {
		t.Roots.AddCert(ca)
	}
	if t.MinVersion, t.MaxVersion, err = cfg.Profile.TLSVersions(); err != nil {
		return nil, err
	}
	if c.verify, err = cfg.verifier(cas); err != nil {
		return nil, err
	}
	c.result = Result{Server: net.JoinHostPort(host, strconv.Itoa(int(cfg.Port))), Identity: cfg.Identity, IMCs: []string{}}
	if c.result.Identity == "" && own != nil {
		c.result.Identity = own.Leaf.Subject.String()
	}
	return c, nil
}

// Close zeroes the passwords and takes a key out of the TPM.
func (c *Client) Close() {
	clear(c.cfg.Secret)
	clear(c.cfg.PIN)
	c.cfg.tokens.Close()
}

// Run loads the IMCs, connects and runs one session. The result is valid beside an
// error too.
func (c *Client) Run(ctx context.Context) (Result, error) {
	err := c.run(ctx)
	c.result.Duration = time.Since(c.started)
	return c.result, err
}

func (c *Client) run(ctx context.Context) error {
	tnc, err := c.newTNCClient()
	if err != nil {
		return err
	}
	defer func() {
		if err := tnc.Close(); err != nil {
			log.Group(c.cfg.Logger, log.TNC).Warn(err.Error())
		}
	}()
	p := c.cfg.Profile
	err = p.LoadIMCs(tnc, p.IMCOptions(ctx, c.cfg.Logger), func(e dlimc.Entry) {
		c.progress("loading IMC %q", e.Name)
		c.result.IMCs = append(c.result.IMCs, e.Name)
	})
	if err != nil {
		return err
	}
	if own := c.transport.Certificate; own != nil {
		bound := *own
		bound.PrivateKey = tpmkey.Bind(ctx, own.PrivateKey.(crypto.Signer))
		c.transport.Certificate = &bound
	}
	c.progress("connecting to %s", c.result.Server)
	c.transport.Verify = func(certs []*x509.Certificate, ocsp []byte) error { return c.verify(ctx, certs, ocsp) }
	conn, err := pttls.Dial(ctx, c.result.Server, c.transport)
	if err != nil {
		return err
	}
	defer conn.Close()
	info := conn.Info()
	c.result.Server, c.result.ServerID, c.result.TLS, c.result.Authentication = info.Remote, info.ServerSubject, info.TLS, info.Authentication
	c.progress("attestation")
	s := &session{Session: tnc.NewSession(), decided: c.decided}
	defer s.Close()
	if c.cfg.Stay {
		s.KeepOpen()
	}
	err = conn.Run(ctx, s)
	c.update(s.Session)
	if err == nil {
		err = c.result.Outcome.Err
	}
	return err
}

func (c *Client) newTNCClient() (*tnccs.Client, error) {
	cfg, err := c.cfg.Profile.TNC(c.cfg.Logger, c.cfg.Mutual)
	if err != nil {
		return nil, err
	}
	cfg.Trace = c.cfg.Trace
	return tnccs.NewClient(cfg)
}

func (c *Client) progress(format string, args ...any) {
	if c.cfg.Progress != nil {
		c.cfg.Progress(format, args...)
	}
}

// update brings the result up to date.
func (c *Client) update(s *tnccs.Session) {
	c.result.Outcome, c.result.Mutual = s.Outcome(), client.VerdictOf(s)
	c.result.Duration = time.Since(c.started)
}

// decided reports a decision of a connection that stays.
func (c *Client) decided(s *tnccs.Session) {
	c.update(s)
	if c.cfg.OnDecision != nil {
		c.cfg.OnDecision(c.result)
	}
}

// session reports each decision after which it stays.
type session struct {
	*tnccs.Session
	decided func(*tnccs.Session)
}

// Receive is the session's, then reports.
func (s *session) Receive(batch []byte) ([]byte, error) {
	reply, err := s.Session.Receive(batch)
	if err == nil && s.Resting() {
		s.decided(s.Session)
	}
	return reply, err
}
