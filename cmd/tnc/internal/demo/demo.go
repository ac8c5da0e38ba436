// Package demo runs a whole attestation on one machine, without root: the reference
// gateway, a CA and certificates made on the fly, the IMC library through dlopen,
// and a ping through the CHILD_SA in user space. It is the only importer of
// internal/gateway and internal/testpki in the program.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// Who takes part.
const (
	gatewayName = "moon.example.org"
	userName    = "carol@example.org"
	inside      = "10.1.0.1"  // answers to allowed clients
	isolated    = "10.1.0.17" // answers to isolated ones
)

// Config describes a run. The zero value attests with the library beside the
// program and prints tables.
type Config struct {
	Fail    bool   // alter one of the measured files before the client connects
	Library string // IMC library; "" = see Libraries
	JSON    bool   // print the outcome as JSON, without tables
	Verbose int    // 1 = log on Stderr, 2 = with details
	Version string // of this program, for the log

	Stdout, Stderr io.Writer
}

// demo is one run.
type demo struct {
	Config
	dir string // everything that the demo writes
}

// Run runs the demo and returns what the command ends with.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &demo{Config: cfg}
	if d.Library, err = d.findLibrary(); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "tnc-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	password := rand.Text()
	gw, ca, err := d.startGateway(password)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gw.close()) }()
	files, err := d.configure(ca, password, gw.Addr())
	if err != nil {
		return err
	}
	p, err := files.Load("home", nil)
	if err != nil {
		return err
	}
	defer p.Close()
	report.WriteWarnings(d.Stderr, p.Warnings)
	ping, err := newEchoPlane(netip.MustParseAddr(inside), netip.MustParseAddr(isolated))
	if err != nil {
		return err
	}
	var progress *report.Progress
	if d.Verbose == 0 {
		progress = report.NewProgress(d.Stderr)
		defer progress.End()
	}
	c, err := client.New(ctx, client.Config{Profile: p, Version: d.Version, Logger: d.logger(), Plane: ping, Progress: progress.Note})
	if err != nil {
		return err
	}
	r, err := c.Run(ctx)
	c.Close()
	progress.End()
	err = report.Explain(r, err)
	out := report.NewOutcome(r, err)
	if d.JSON {
		_ = report.WriteJSON(d.Stdout, d.outcome(out, gw.Report().Last().Assessment))
		return out.Exit(err)
	}
	fmt.Fprintf(d.Stdout, "What %s asked and got\n", gatewayName)
	d.writeAssessment(gw.Report().Last().Assessment)
	fmt.Fprintln(d.Stdout)
	out.WriteTable(d.Stdout, ping.rows()...)
	return out.Exit(err)
}

// runningGateway is a gateway that serves.
type runningGateway struct {
	*gateway.Gateway
	served chan error
}

// startGateway starts the gateway, whose verifier knows what is measured, and
// returns the certificate of its CA, PEM.
func (d *demo) startGateway(password string) (*runningGateway, []byte, error) {
	ca, err := testpki.NewCA("tnc demo CA", testpki.ECDSA)
	if err != nil {
		return nil, nil, err
	}
	cert, err := ca.Issue(gatewayName, testpki.ECDSA, nil)
	if err != nil {
		return nil, nil, err
	}
	policy, err := d.enrol()
	if err != nil {
		return nil, nil, err
	}
	gw, err := gateway.Listen(gateway.Config{
		Identity:    gatewayName,
		Certificate: cert,
		Users:       map[string]string{userName: password},
		Networks:    []netip.Prefix{netip.MustParsePrefix("10.1.0.0/28")},
		Quarantine:  []netip.Prefix{netip.MustParsePrefix("10.1.0.16/28")},
		Policy:      policy,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("start the gateway: %w", err)
	}
	g := &runningGateway{gw, make(chan error, 1)}
	go func() { g.served <- gw.Serve(context.Background()) }()
	return g, ca.PEM(), nil
}

func (g *runningGateway) close() error { return errors.Join(g.Close(), <-g.served) }

// logger prints the run where it is wanted: strongSwan's level 1, and level 2 of what
// attests, as the runs that strongSwan's documentation shows.
func (d *demo) logger() *slog.Logger {
	if d.Verbose == 0 {
		return log.NewWriter(d.Stderr, slog.LevelWarn)
	}
	least := slog.Leveler(log.LevelDetail)
	if d.Verbose > 1 {
		least = slog.LevelDebug
	}
	return slog.New(log.NewHandler(least, func(r log.Record) {
		switch r.Group {
		case log.TNC, log.IMC, log.PTS:
		default:
			if r.Level < slog.LevelInfo && d.Verbose == 1 {
				return
			}
		}
		fmt.Fprintln(d.Stderr, r.Line())
	}))
}

const libraryName = "imc-attestation.so"

// Libraries returns where the library of the program exe is looked for: beside it, and
// in LIBDIR of the same installation, also where packages of Debian
// (lib/x86_64-linux-gnu) and of Fedora (lib64) have it.
func Libraries(exe string) []string {
	dir := filepath.Dir(exe)
	out := []string{filepath.Join(dir, libraryName)}
	for _, lib := range []string{"lib", "lib64"} {
		out = append(out, filepath.Join(dir, "..", lib, "gotnc", libraryName))
	}
	multiarch, _ := filepath.Glob(filepath.Join(dir, "..", "lib", "*-linux-*", "gotnc", libraryName))
	return append(out, multiarch...)
}

// findLibrary returns the IMC library: beside the program as in build/, or where
// make install puts it.
func (d *demo) findLibrary() (string, error) {
	if d.Library != "" {
		return filepath.Abs(d.Library)
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w: name it with --library", libraryName, err)
	}
	tried := Libraries(exe)
	for _, p := range tried {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no %s found (looked in %s): build it with `make lib`, or name it with --library", libraryName, strings.Join(tried, ", "))
}
