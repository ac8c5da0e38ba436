package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/base/log"
)

// hooks is what a connection changes beside the data plane: name servers, and
// what the updown script does.
type hooks struct {
	servers *resolvconf.Place // nil where none were given to the system
	keeping context.CancelFunc
	kept    chan struct{} // Keep has returned
	script  func(verb string) error
	logger  *slog.Logger
	// given is told what the name servers were given to; "" = to nothing any more.
	given func(string)
}

// up installs the name servers and runs the updown script. An error is a
// warning: the tunnel stays.
func (h *hooks) up(c *Client, sa *ike.ChildSA) error {
	h.logger = c.logger
	err := h.install(c, sa.Internal)
	if ch := c.profile.FirstChild(); ch != nil && ch.Updown != "" {
		env := c.updownEnvironment(sa)
		command := ch.Updown
		h.script = func(verb string) error { return runUpdown(command, verb, env, sa) }
		err = errors.Join(err, h.script("up"))
	}
	return err
}

// install gives the name servers that the gateway assigned to the system.
func (h *hooks) install(c *Client, internal ike.Internal) error {
	charon, plane := c.profile.Charon, c.plane.Info()
	if !plane.Carries || len(internal.DNS) == 0 || !charon.InstallDNS {
		return nil
	}
	ctx := context.Background() // each step has its own time
	h.servers = resolvconf.Find(ctx, resolvconf.Config{
		File: charon.ResolvConf, Command: charon.ResolvconfPath, Key: c.cfg.RunDir.nameServerKey(c.profile.Connection.Name), Device: plane.Device,
	})
	if h.servers.Limits != "" {
		log.Group(c.logger, log.IKE).Warn(h.servers.Limits)
	}
	for _, d := range internal.DNS {
		log.Infof(log.Group(c.logger, log.IKE), "installing DNS server %s to %s", d, h.servers.What())
	}
	c.record.NameServers = h.servers
	err := c.runDir.save(c.record)
	if failed := h.servers.Install(ctx, internal.DNS, internal.Domains); failed != nil {
		h.servers = nil
		return errors.Join(err, fmt.Errorf("install DNS servers: %w", failed))
	}
	h.given = c.state.setDNSVia
	h.given(h.servers.What())
	err = errors.Join(err, c.runDir.save(c.record)) // with what was found meanwhile
	ctx, h.keeping = context.WithCancel(ctx)
	h.kept = make(chan struct{})
	go func(p *resolvconf.Place, logger *slog.Logger) {
		defer close(h.kept)
		p.Keep(ctx, 0, func(err error) { log.Warnf(log.Group(logger, log.IKE), "put DNS servers back: %v", err) })
	}(h.servers, c.logger)
	return err
}

// down undoes up. It may be called without it.
func (h *hooks) down() {
	if h.script != nil {
		if err := h.script("down"); err != nil {
			log.Group(h.logger, log.CHD).Warn(err.Error())
		}
		h.script = nil
	}
	h.removeServers()
}

// removeServers takes the name servers from the system.
func (h *hooks) removeServers() {
	if h.servers == nil {
		return
	}
	h.keeping()
	<-h.kept
	h.given("")
	if err := h.servers.Remove(context.Background()); err != nil {
		log.Warnf(log.Group(h.logger, log.IKE), "remove DNS servers: %v", err)
	}
	h.servers = nil
}
