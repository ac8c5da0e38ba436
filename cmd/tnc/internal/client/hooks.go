package client

import (
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
	resolv *resolvconf.Resolver // nil where none was changed
	script func(verb string) error
	logger *slog.Logger
}

// up installs the name servers and runs the updown script. An error is a
// warning: the tunnel stays.
func (h *hooks) up(c *Client, sa *ike.ChildSA) error {
	h.logger = c.logger
	var errs []error
	charon := c.profile.Charon
	if c.plane.Info().Carries && len(sa.Internal.DNS) > 0 && charon.InstallDNS {
		h.resolv = resolvconf.New(charon.ResolvConf, charon.ResolvconfPath, c.cfg.RunDir.nameServerKey(c.profile.Connection.Name))
		c.record.Resolv, c.record.Resolvcmd, c.record.ResolvKey = h.resolv.File, h.resolv.Command, h.resolv.Key
		if err := c.runDir.save(c.record); err != nil {
			errs = append(errs, err)
		}
		for _, d := range sa.Internal.DNS {
			log.Infof(log.Group(c.logger, log.IKE), "installing DNS server %s to %s", d, h.resolv.What())
		}
		if err := h.resolv.Install(sa.Internal.DNS, sa.Internal.Domains); err != nil {
			errs = append(errs, fmt.Errorf("install DNS servers: %w", err))
			h.resolv = nil
		}
	}
	if ch := c.profile.FirstChild(); ch != nil && ch.Updown != "" {
		env := c.updownEnvironment(sa)
		command := ch.Updown
		h.script = func(verb string) error { return runUpdown(command, verb, env, sa) }
		if err := h.script("up"); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// down undoes up. It may be called without it.
func (h *hooks) down() {
	if h.script != nil {
		if err := h.script("down"); err != nil {
			log.Group(h.logger, log.CHD).Warn(err.Error())
		}
		h.script = nil
	}
	if h.resolv != nil {
		if err := h.resolv.Remove(); err != nil {
			log.Warnf(log.Group(h.logger, log.IKE), "remove DNS servers: %v", err)
		}
		h.resolv = nil
	}
}
