package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/ipsecconf"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/tnccs"
)

// connections reads swanctl.conf, or ipsec.conf where that is named, or is the
// only one of the two that exists.
func (o *options) connections() (*swanctl.Config, error) {
	if o.ipsecConf != "" {
		m, err := ipsecconf.Load(o.ipsecConf)
		if err != nil {
			return nil, unread("ipsec.conf", err, "name another one with --ipsec-conf")
		}
		return m, nil
	}
	m, err := swanctl.Load(o.swanctl)
	if errors.Is(err, fs.ErrNotExist) && o.swanctl == "" {
		if _, serr := os.Stat(ipsecconf.DefaultPath); serr == nil {
			if m, err := ipsecconf.Load(""); err == nil && len(m.Connections) > 0 {
				return m, nil
			}
		}
	}
	if err != nil {
		return nil, unread("swanctl.conf", err, "name it with --swanctl, or an ipsec.conf with --ipsec-conf")
	}
	return m, nil
}

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: subcommand, RunE: helpOnly}
	var o options
	check := &cobra.Command{
		Use:   "check",
		Short: "Read all configuration files and say what is wrong, each with file and line",
		Long: `Reads strongswan.conf, swanctl.conf or ipsec.conf with their secrets and
certificates, and tnc_config. What would keep a connection from working is an
error, what has no effect a warning. Exit code 1 where there is an error.`,
		Example: "  tnc config check\n  tnc config check --swanctl ./swanctl.conf",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := o.connections()
			if err == nil {
				defer m.Close()
			}
			bad := o.checkConfig(m, err, func(kind string, what error) {
				fmt.Fprintf(cmd.OutOrStdout(), "%-8s %v\n", kind, text.Printable(what.Error()))
			})
			certificates(m, time.Now(), func(kind, remedy, format string, args ...any) {
				if kind == "error" {
					bad++
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s: %s\n", kind, text.Printable(fmt.Sprintf(format, args...)), remedy)
			})
			if bad > 0 {
				return fmt.Errorf("errors in the configuration: %d", bad)
			}
			return nil
		},
	}
	o.files(check)
	cmd.AddCommand(check)
	return cmd
}

// tryConnection makes the configuration of an IKE_SA, with keys, certificates
// and secrets, and takes it away again.
func (o *options) tryConnection(s *setup, m *swanctl.Config, conn *swanctl.Connection, roots *swanctl.Roots) error {
	c := &connection{logger: slog.New(slog.DiscardHandler), setup: &setup{strongswan: s.strongswan, charon: s.charon, swanctl: m, conn: conn, roots: roots}}
	_, peers, err := c.ikeConfig()
	for _, p := range peers {
		p.Close()
	}
	return err
}

// checkProposals reads the algorithms of a connection and of its children.
func checkProposals(conn *swanctl.Connection) error {
	if _, err := crypto.ParseProposals(message.ProtocolIKE, conn.Proposals); err != nil {
		return conn.Pos.Errorf("proposals of connection %q: %w", conn.Name, err)
	}
	for _, ch := range conn.Children {
		if _, err := crypto.ParseProposals(message.ProtocolESP, ch.ESPProposals); err != nil {
			return ch.Pos.Errorf("esp_proposals of child %q: %w", ch.Name, err)
		}
	}
	return nil
}

// mistyped tells of settings below imc-attestation that mean nothing: with one in
// measure_deny a verifier may ask for everything.
func mistyped(sc *config.Config, say func(kind string, what error)) {
	for _, ns := range imcSections {
		section := ns + ".plugins.imc-attestation"
		for _, v := range sc.Node(section).Values() {
			if !slices.Contains(imc.AttestationSettings, v.Key) {
				say("warning", v.Errorf("setting %q is not known in %s", v.Key, section))
			}
		}
	}
}

// checkConfig tells what is wrong ("error", "warning") and right ("ok"). m is the
// connections, or nil where unread says why they cannot be read.
func (o *options) checkConfig(m *swanctl.Config, unread error, say func(kind string, what error)) (bad int) {
	fail := func(err error) {
		bad++
		say("error", err)
	}
	sc, err := readStrongswan(o.strongswan)
	if err != nil {
		fail(err)
		sc = config.New()
	}
	s := &setup{strongswan: sc, charon: sc.Charon()}
	for _, w := range sc.Warnings() {
		say("warning", w)
	}
	mistyped(sc, say)
	if tc, err := s.tncConfig(nil, false); err != nil {
		fail(err)
	} else if client, err := tnccs.NewClient(tc); err != nil {
		fail(err)
	} else {
		_ = client.Close() // it has no IMCs
	}
	if unread != nil {
		fail(unread)
	} else {
		if len(m.Connections) == 0 {
			say("warning", fmt.Errorf("%s: no connection is configured; add a section connections.<name>", m.File))
		}
		for _, c := range m.Connections {
			before := bad
			for _, p := range c.Problems {
				fail(p)
			}
			roots, err := m.Roots(c)
			if err != nil {
				fail(fmt.Errorf("connection %q: %w", c.Name, err))
			} else {
				for _, w := range roots.Warnings {
					say("warning", w)
				}
			}
			if _, ok := c.RemoteHost(); !ok {
				fail(c.Pos.Errorf("connection %q has no remote_addrs: set it to the gateway's name or address", c.Name))
			}
			if bad == before {
				if err := o.tryConnection(s, m, c, roots); err != nil {
					if at := new(config.Error); !errors.As(err, &at) {
						err = c.Pos.Errorf("connection %q: %w", c.Name, err)
					}
					fail(err)
				}
			}
			if err := checkProposals(c); err != nil {
				fail(err)
			}
			for _, l := range c.Local {
				if l.Auth.Class != "eap" {
					continue
				}
				if id := l.EAPIdentity(); id != "" {
					if _, ok := m.Secret("eap", id); !ok {
						say("warning", l.Pos.Errorf("connection %q: there is no eap secret for %q", c.Name, id))
					}
				}
			}
			if bad == before {
				say("ok", c.Pos.Errorf("connection %q", c.Name))
			}
		}
		for _, w := range m.Warnings() {
			say("warning", w)
		}
	}
	if err := s.loadTNCConfig(o); err != nil {
		fail(err)
	}
	for _, w := range s.warnings {
		say("warning", w)
	}
	for _, e := range s.imcs {
		if i, err := os.Stat(e.Path); err != nil {
			fail(fmt.Errorf("%s:%d: IMC %q: %w", e.File, e.Line, e.Name, err))
		} else if !i.Mode().IsRegular() {
			fail(fmt.Errorf("%s:%d: IMC %q: %s is no file", e.File, e.Line, e.Name, e.Path))
		} else {
			say("ok", fmt.Errorf("%s:%d: IMC %q", e.File, e.Line, e.Name))
		}
	}
	return bad
}
