package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
)

// open binds the sockets, or connects over TCP.
func (c *Client) open(ctx context.Context, e endpoint) (*transport.Conn, error) {
	if !e.tcp {
		return c.openUDP(e.remote, e.local)
	}
	if info := c.plane.Info(); info.Carries && !info.UDPOnly {
		return nil, &PlaneError{transport.ErrKernelESP}
	}
	return transport.DialTCP(ctx, transport.Config{Remote: e.remote, Local: e.local, Logger: c.logger})
}

// openUDP binds the sockets; where the usual ports are taken or forbidden, any
// other two will do: to the gateway that looks like a NAT.
func (c *Client) openUDP(remote netip.AddrPort, local netip.Addr) (*transport.Conn, error) {
	o := transport.Config{
		Remote: remote, Local: local,
		Port: c.profile.Charon.Port, PortNATT: c.profile.Charon.PortNATT,
		KeepAlive: c.profile.Charon.KeepAlive, DSCP: c.profile.Connection.DSCP, Logger: c.logger,
	}
	if c.profile.Connection.LocalPort != ike.PortIKE {
		o.Port = c.profile.Connection.LocalPort
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = -1 // strongSwan's 0 means none
	}
	sock, err := transport.Open(o)
	if (o.Port != 0 || o.PortNATT != 0) && (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, os.ErrPermission)) {
		log.Infof(log.Group(c.logger, log.NET), "%v: using other ports", err)
		o.Port, o.PortNATT = 0, 0
		sock, err = transport.Open(o)
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("%w: local_addrs of connection %q names an address that this machine does not have", err, c.profile.Connection.Name)
	}
	return sock, err
}
