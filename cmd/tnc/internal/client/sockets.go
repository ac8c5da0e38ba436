package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
)

// addresses resolves the two ends.
func (c *Client) addresses(ctx context.Context) (remote netip.AddrPort, local netip.Addr, err error) {
	host, err := c.profile.RemoteHost()
	if err != nil {
		return remote, local, err
	}
	addr, err := resolve(ctx, host)
	if err != nil {
		return remote, local, fmt.Errorf("find the gateway's address: %w: check remote_addrs of connection %q and the name service", err, c.profile.Connection.Name)
	}
	if host, ok := c.profile.Connection.LocalHost(); ok {
		if local, err = resolve(ctx, host); err != nil {
			return remote, local, fmt.Errorf("find our address: %w: check local_addrs of connection %q", err, c.profile.Connection.Name)
		}
	}
	return netip.AddrPortFrom(addr, c.profile.Connection.RemotePort), local, nil
}

const resolveTimeout = 10 * time.Second

func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs { // IPv4 first, as strongSwan
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0], nil
}

// open binds the sockets; where the usual ports are taken or forbidden, any
// other two will do: to the gateway that looks like a NAT.
func (c *Client) open(remote netip.AddrPort, local netip.Addr) (*transport.Conn, error) {
	o := transport.Config{
		Remote: remote, Local: local,
		Port: c.profile.Charon.Port, PortNATT: c.profile.Charon.PortNATT,
		KeepAlive: c.profile.Charon.KeepAlive, Logger: c.logger,
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
