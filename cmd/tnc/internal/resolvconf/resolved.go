package resolvconf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names of systemd-resolved on the bus (org.freedesktop.resolve1(5)).
const (
	resolvedName    = "org.freedesktop.resolve1"
	resolvedPath    = "/org/freedesktop/resolve1"
	resolvedManager = resolvedName + ".Manager."
	noSuchLink      = resolvedName + ".NoSuchLink"
)

const (
	busTimeout = 5 * time.Second
	// linkWait is how long systemd-resolved may take to learn of a new device.
	linkWait = 3 * time.Second
)

// resolvedState is what is known of systemd-resolved.
type resolvedState int

const (
	resolvedAbsent    resolvedState = iota // not on the bus
	resolvedHere                           // in this network namespace
	resolvedElsewhere                      // in another one, whose devices have other indices
)

// lookAtResolved asks the bus for systemd-resolved.
func lookAtResolved(ctx context.Context) resolvedState {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return resolvedAbsent
	}
	defer bus.Close()
	var running bool
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, resolvedName).Store(&running); err != nil || !running {
		return resolvedAbsent
	}
	var pid uint32
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, resolvedName).Store(&pid); err != nil {
		return resolvedHere
	}
	theirs, err := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/ns/net")
	ours, _ := os.Readlink("/proc/thread-self/ns/net")
	if err == nil && theirs != ours {
		return resolvedElsewhere
	}
	return resolvedHere
}

// linkServer is a name server as SetLinkDNS takes it.
type linkServer struct {
	Family  int32
	Address []byte
}

// linkDomain is a domain as SetLinkDomains takes it.
type linkDomain struct {
	Domain    string
	RouteOnly bool // it says who is asked, and is not searched
}

// Address families of Linux.
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// installResolved gives the name servers to the tunnel's device.
func (p *Place) installResolved(ctx context.Context, dns []netip.Addr, domains []string) error {
	if p.Device == "" {
		return errNoDevice
	}
	dev, err := net.InterfaceByName(p.Device)
	if err != nil {
		return fmt.Errorf("find device %s: %w", p.Device, err)
	}
	p.Link = dev.Index
	var servers []linkServer
	for _, d := range dns {
		family := int32(familyIPv4)
		if d.Is6() {
			family = familyIPv6
		}
		servers = append(servers, linkServer{family, d.AsSlice()})
	}
	routes := []linkDomain{{".", true}} // all names
	if len(domains) > 0 {
		routes = nil
		for _, d := range domains {
			routes = append(routes, linkDomain{d, true})
		}
	}
	return p.onBus(ctx, func(call func(method string, args ...any) error) error {
		err := call("SetLinkDNS", p.Link, servers)
		for end := time.Now().Add(linkWait); isBusError(err, noSuchLink) && time.Now().Before(end); err = call("SetLinkDNS", p.Link, servers) {
			time.Sleep(50 * time.Millisecond)
		}
		if err == nil {
			err = call("SetLinkDomains", p.Link, routes)
		}
		if err == nil {
			err = call("SetLinkDefaultRoute", p.Link, len(domains) == 0)
		}
		if err != nil {
			_ = call("RevertLink", p.Link)
			return err
		}
		// Inside the tunnel nobody else answers. Older versions lack some of it.
		for _, off := range []string{"SetLinkLLMNR", "SetLinkMulticastDNS", "SetLinkDNSOverTLS"} {
			_ = call(off, p.Link, "no")
		}
		_ = call("FlushCaches")
		return nil
	})
}

// removeResolved takes the name servers from the device, where that is still there:
// what systemd-resolved knows of a device goes with it.
func (p *Place) removeResolved(ctx context.Context) error {
	if dev, err := net.InterfaceByIndex(p.Link); err != nil || dev.Name != p.Device {
		return nil
	}
	if lookAtResolved(ctx) != resolvedHere {
		return nil
	}
	err := p.onBus(ctx, func(call func(method string, args ...any) error) error {
		err := call("RevertLink", p.Link)
		_ = call("FlushCaches")
		return err
	})
	if isBusError(err, noSuchLink) {
		return nil
	}
	return err
}

// onBus calls methods of systemd-resolved.
func (p *Place) onBus(ctx context.Context, do func(call func(method string, args ...any) error) error) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer bus.Close()
	resolved := bus.Object(resolvedName, resolvedPath)
	return do(func(method string, args ...any) error {
		for i, a := range args {
			if n, ok := a.(int); ok {
				args[i] = int32(n)
			}
		}
		if err := resolved.CallWithContext(ctx, resolvedManager+method, 0, args...).Err; err != nil {
			return fmt.Errorf("%s of systemd-resolved: %w", method, err)
		}
		return nil
	})
}

func isBusError(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}
