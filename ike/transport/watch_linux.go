package transport

import (
	"github.com/vishvananda/netlink"
)

// watchAddresses reports changes of this host's addresses and routes. The
// channel is closed where the kernel cannot be asked.
func watchAddresses(done <-chan struct{}) <-chan struct{} {
	out := make(chan struct{}, 1)
	notify := func() {
		select {
		case out <- struct{}{}:
		default:
		}
	}
	addrs, routes := make(chan netlink.AddrUpdate, 16), make(chan netlink.RouteUpdate, 16)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		close(out)
		return out
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		routes = nil
	}
	go func() {
		for addrs != nil || routes != nil {
			select {
			case _, ok := <-addrs:
				if !ok {
					addrs = nil
					continue
				}
				notify()
			case _, ok := <-routes:
				if !ok {
					routes = nil
					continue
				}
				notify()
			}
		}
		close(out)
	}()
	return out
}
