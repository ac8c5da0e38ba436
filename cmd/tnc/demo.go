package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

func newDemo() *cobra.Command {
	d := demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole attestation on this machine, without root",
		Long: `Starts the reference gateway on the loopback interface, with a CA and
certificates made on the fly, connects to it with a swanctl.conf, attests with
the IMC library through dlopen, and sends a ping through the CHILD_SA in user
space. The log has the order and wording of strongSwan's; a table of what was
asked and measured follows. Nothing is left behind.

` + report.ExitHelp,
		Example: `  tnc demo
  tnc demo --fail     one measured file differs: the gateway isolates, exit code 3`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	f := cmd.Flags()
	f.BoolVar(&d.fail, "fail", false, "alter one of the measured files before the client connects")
	f.StringVar(&d.library, "library", "", "IMC library (default imc-attestation.so beside this program, or in ../lib/gotnc from there)")
	f.BoolVar(&d.json, "json", false, "print the outcome as JSON, without log and tables")
	f.CountVarP(&d.verbose, "verbose", "v", "log details")
	return cmd
}

// Who takes part in the demo.
const (
	demoGateway  = "moon.example.org"
	demoUser     = "carol@example.org"
	demoInside   = "10.1.0.1"  // answers to allowed clients
	demoIsolated = "10.1.0.17" // answers to isolated ones
)

type demo struct {
	fail    bool
	library string
	json    bool
	verbose int

	dir string // everything that the demo writes
}

func (d *demo) run(cmd *cobra.Command) (err error) {
	lib, err := d.findLibrary()
	if err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "tnc-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()

	password := rand.Text()
	ca, err := testpki.NewCA("tnc demo CA", testpki.ECDSA)
	if err != nil {
		return err
	}
	cert, err := ca.Issue(demoGateway, testpki.ECDSA, nil)
	if err != nil {
		return err
	}
	policy, err := d.enrol(lib)
	if err != nil {
		return err
	}
	gw, err := gateway.Listen(gateway.Config{
		Identity:    demoGateway,
		Certificate: cert,
		Users:       map[string]string{demoUser: password},
		Networks:    []netip.Prefix{netip.MustParsePrefix("10.1.0.0/28")},
		Quarantine:  []netip.Prefix{netip.MustParsePrefix("10.1.0.16/28")},
		Policy:      policy,
	})
	if err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	defer func() { err = errors.Join(err, gw.Close(), <-served) }()

	o, err := d.configure(lib, ca.PEM(), password, gw.Addr())
	if err != nil {
		return err
	}
	s, err := o.Load("home", nil)
	if err != nil {
		return err
	}
	defer s.Close()
	warn(cmd.ErrOrStderr(), s)
	ping := &echoPlane{to: netip.MustParseAddr(demoInside), or: netip.MustParseAddr(demoIsolated)}
	c, err := client.New(cmd.Context(), client.Config{Profile: s, Version: version, Logger: d.logger(cmd.OutOrStdout()), Plane: ping})
	if err != nil {
		return err
	}
	r, err := c.Run(cmd.Context())
	c.Close()
	err = report.Explain(r, err)
	out := report.NewOutcome(r, err)
	w := cmd.OutOrStdout()
	if d.json {
		_ = report.WriteJSON(w, out)
		return out.Exit(err)
	}
	fmt.Fprintf(w, "\nWhat %s asked and got\n", demoGateway)
	d.writeAssessment(w, gw.Report().Last().Assessment)
	fmt.Fprintln(w)
	var more [][2]string
	if ping.answered {
		more = append(more, [2]string{"ESP echo", fmt.Sprintf("%s answered %d octets through the CHILD_SA in %v", ping.target, ping.size, ping.rtt.Round(time.Microsecond))})
	}
	out.WriteTable(w, more...)
	return out.Exit(err)
}

// logger prints the run: strongSwan's level 1, and level 2 of what attests, as
// the runs that strongSwan's documentation shows.
func (d *demo) logger(w io.Writer) *slog.Logger {
	if d.json {
		return log.Discard()
	}
	least := slog.Leveler(log.LevelDetail)
	if d.verbose > 0 {
		least = slog.LevelDebug
	}
	return slog.New(log.NewHandler(least, func(r log.Record) {
		switch r.Group {
		case log.TNC, log.IMC, log.PTS:
		default:
			if r.Level < slog.LevelInfo && d.verbose == 0 {
				return
			}
		}
		fmt.Fprintf(w, "[%s] %s\n", r.Group, r)
	}))
}

const libraryName = "imc-attestation.so"

// demoLibraries are where the library of the program exe may be.
func demoLibraries(exe string) []string {
	dir := filepath.Dir(exe)
	return []string{filepath.Join(dir, libraryName), filepath.Join(dir, "..", "lib", "gotnc", libraryName)}
}

// findLibrary returns the IMC library: beside the program as in build/, or where
// make install puts it.
func (d *demo) findLibrary() (string, error) {
	if d.library != "" {
		return filepath.Abs(d.library)
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w: name it with --library", libraryName, err)
	}
	tried := demoLibraries(exe)
	for _, p := range tried {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no %s found (looked in %s): build it with `make lib`, or name it with --library", libraryName, strings.Join(tried, ", "))
}

// enrol makes what is measured and the policy that knows its digests. With
// --fail one file changes after that.
func (d *demo) enrol(lib string) (imv.Policy, error) {
	p := imv.Policy{Files: map[string]string{}, Directories: map[string]map[string]string{}}
	write := func(name, content string) (string, error) {
		path := filepath.Join(d.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		return path, os.WriteFile(path, []byte(content), 0o644)
	}
	confs := map[string]string{
		"firewall.conf": "default deny\nallow established\n",
		"sshd.conf":     "PermitRootLogin no\n",
		"updates.conf":  "daily\n",
	}
	ref := map[string]string{}
	for name, content := range confs {
		if _, err := write("site/conf.d/"+name, content); err != nil {
			return p, err
		}
		sum := sha256.Sum256([]byte(content))
		ref[name] = hex.EncodeToString(sum[:])
	}
	p.Directories[filepath.Join(d.dir, "site", "conf.d")] = ref
	agent, err := write("site/agent.conf", "antivirus on\n")
	if err != nil {
		return p, err
	}
	exe, err := os.Executable()
	if err != nil {
		return p, err
	}
	for _, f := range []string{agent, lib, exe} {
		sum, err := sha256File(f)
		if err != nil {
			return p, err
		}
		p.Files[f] = sum
	}
	p.Metadata = []string{lib}
	if d.fail {
		if err := os.WriteFile(agent, []byte("antivirus off\n"), 0o644); err != nil {
			return p, err
		}
	}
	return p, nil
}

func sha256File(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// configure writes the files that a user of tnc has.
func (d *demo) configure(lib string, ca []byte, password string, gw netip.AddrPort) (*profile.Files, error) {
	files := map[string]string{
		"swanctl/x509ca/ca.pem": string(ca),
		"tnc_config":            fmt.Sprintf("IMC \"Attestation\" %s\n", lib),
		"strongswan.conf": fmt.Sprintf(`charon {
  port = 0
  port_nat_t = 0
}
libtnccs {
  tnc_config = "%s"
}
libimcv {
  debug_level = %d
  plugins {
    imc-attestation {
      hash_algorithm = sha256
    }
  }
}
`, filepath.Join(d.dir, "tnc_config"), 2+d.verbose),
		"swanctl/swanctl.conf": fmt.Sprintf(`connections {
  home {
    local_addrs = %[1]s
    remote_addrs = %[1]s
    remote_port = %[2]d
    local {
      auth = eap-ttls
      id = %[3]s
    }
    remote {
      auth = eap-ttls
      id = %[4]s
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
      }
    }
    version = 2
  }
}
secrets {
  eap {
    id = %[3]s
    secret = "%[5]s"
  }
}
`, gw.Addr(), gw.Port(), demoUser, demoGateway, password),
	}
	for name, content := range files {
		path := filepath.Join(d.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	return &profile.Files{
		Swanctl:    filepath.Join(d.dir, "swanctl", "swanctl.conf"),
		Strongswan: filepath.Join(d.dir, "strongswan.conf"),
	}, nil
}

// writeAssessment prints what the verifier asked and what it was told.
func (d *demo) writeAssessment(w io.Writer, r imv.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = text.Printable(c)
		}
		fmt.Fprintf(t, "  %s\n", strings.Join(cells, "\t"))
	}
	row("asked", "of", "answer", "result")
	row("product", "-", r.Product, "-")
	row("version", "-", r.Version, "-")
	row("device ID", "-", r.DeviceID, "-")
	row("PTS algorithm", "-", r.Hash, "-")
	for _, f := range r.Files {
		row("measurement", d.short(f.Path), fmt.Sprintf("%x", f.Digest), f.Result.String())
	}
	for _, m := range r.Metadata {
		row("metadata", d.short(m.Path), fmt.Sprintf("%d octets, owner %d, group %d, modified %s",
			m.Size, m.Owner, m.Group, m.Modified.UTC().Format(time.RFC3339)), "-")
	}
	for _, e := range r.Errors {
		row("error", "-", e, "-")
	}
	_ = t.Flush()
	for _, f := range r.Findings {
		fmt.Fprintf(w, "  finding: %s\n", text.Printable(d.short(f)))
	}
}

// short leaves the demo's own directory out of a path.
func (d *demo) short(path string) string { return strings.ReplaceAll(path, d.dir+"/", "") }
