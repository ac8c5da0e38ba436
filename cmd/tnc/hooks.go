package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/base/log"
)

// hooks is what a connection does beside its packets: name servers and the
// updown script.
type hooks struct {
	resolv *resolvconf.Resolver // nil where none was changed
	script func(verb string) error
	logger *slog.Logger
}

// up installs the name servers and runs the updown script. What fails is
// told; the tunnel stays.
func (h *hooks) up(c *connection, sa *ike.ChildSA) error {
	h.logger = c.logger
	var errs []error
	if _, off := c.plane.(noPlane); !off && len(sa.Internal.DNS) > 0 && c.Charon.InstallDNS {
		h.resolv = resolvconf.New(c.Charon.ResolvConf, c.Charon.ResolvconfPath, c.Connection.Name)
		c.left.Resolv, c.left.Resolvcmd = h.resolv.File, h.resolv.Command
		if err := c.guard.note(c.left); err != nil {
			errs = append(errs, err)
		}
		for _, d := range sa.Internal.DNS {
			log.Group(c.logger, log.IKE).Info(fmt.Sprintf("installing DNS server %s to %s", d, h.resolv.What()))
		}
		if err := h.resolv.Install(sa.Internal.DNS, sa.Internal.Domains); err != nil {
			errs = append(errs, fmt.Errorf("install DNS servers: %w", err))
			h.resolv = nil
		}
	}
	ch := c.FirstChild()
	if ch != nil && ch.Updown != "" {
		device := ""
		if d, ok := c.plane.(*devicePlane); ok && d.plane != nil {
			device = d.plane.Device()
		}
		env := plutoEnv(c, sa, device)
		command := ch.Updown
		h.script = func(verb string) error { return runUpdown(command, verb, env, sa) }
		if err := h.script("up"); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// down undoes up. It may be called without.
func (h *hooks) down() {
	if h.script != nil {
		if err := h.script("down"); err != nil {
			log.Group(h.logger, log.CHD).Warn(err.Error())
		}
		h.script = nil
	}
	if h.resolv != nil {
		if err := h.resolv.Remove(); err != nil {
			log.Group(h.logger, log.IKE).Warn("remove DNS servers: " + err.Error())
		}
		h.resolv = nil
	}
}
