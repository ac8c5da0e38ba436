package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// LookupError is a name that was not found.
type LookupError struct {
	Connection string
	Of         LookupOf
	Err        error
}

// LookupOf is whose name was looked for.
type LookupOf int

// Whose names are looked for.
const (
	OfGateway  LookupOf = iota // in remote_addrs
	OfRedirect                 // of the gateway that the gateway redirects to
	OfUs                       // in local_addrs
)

func (e *LookupError) Error() string {
	what := [...]string{OfGateway: "find the gateway's address", OfRedirect: "find the gateway that we were redirected to", OfUs: "find our address"}
	return fmt.Sprintf("%s: %v", what[e.Of], e.Err)
}
func (e *LookupError) Unwrap() error { return e.Err }

// RouteError is an address that this machine has no route to.
type RouteError struct {
	To  netip.Addr
	Err error
}

func (e *RouteError) Error() string { return fmt.Sprintf("no route to %s: %v", e.To, e.Err) }
func (e *RouteError) Unwrap() error { return e.Err }

// FamilyError is an address of the gateway of a family that local_addrs has none
// of.
type FamilyError struct {
	Connection string
	Remote     netip.Addr
}

func (e *FamilyError) Error() string {
	family := "IPv4"
	if e.Remote.Is6() {
		family = "IPv6"
	}
	return fmt.Sprintf("local_addrs of connection %q has no %s address", e.Connection, family)
}

const resolveTimeout = 10 * time.Second

// resolve returns the addresses of a host in the order in which they are to be
// tried (RFC 6724 section 6).
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var each []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); !slices.Contains(each, a) {
			each = append(each, a)
		}
	}
	return each, nil
}

// localAddress returns this end's address for one of the gateway; zero = any.
func (c *Client) localAddress(ctx context.Context, remote netip.Addr) (netip.Addr, error) {
	hosts := c.profile.Connection.LocalHosts()
	if len(hosts) == 0 {
		return netip.Addr{}, nil
	}
	var failed error
	for _, host := range hosts {
		addrs, err := resolve(ctx, host)
		if err != nil {
			failed = &LookupError{Connection: c.profile.Connection.Name, Of: OfUs, Err: err}
		}
		for _, a := range addrs {
			if a.Is4() == remote.Is4() {
				return a, nil
			}
		}
	}
	if failed == nil {
		failed = &FamilyError{c.profile.Connection.Name, remote}
	}
	return netip.Addr{}, failed
}

// routeTo asks the kernel for a route to the gateway, without sending anything. An
// address of this end that the machine does not have is not its matter.
func routeTo(local netip.Addr, remote netip.AddrPort) error {
	var d net.Dialer
	if local.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	fd, err := d.Dial("udp", remote.String())
	if err == nil {
		return fd.Close()
	}
	return routeError(remote.Addr(), err)
}

// routeError returns the error of a connect(2) that found no route as a
// *RouteError, else nil.
func routeError(to netip.Addr, err error) error {
	var failed *os.SyscallError
	if errors.As(err, &failed) && failed.Syscall == "connect" {
		return &RouteError{To: to, Err: failed.Err}
	}
	return nil
}
