// Package tun carries the packets of CHILD_SAs in this program: ESP of ike/esp
// over a TUN device, which has the virtual IPs, and routes in a table of their
// own. It needs Linux, /dev/net/tun, the right CAP_NET_ADMIN, and a gateway that
// takes ESP in UDP.
//
// # Usage
//
//	plane, err := dataplane.Open(dataplane.Config{Kind: dataplane.TUN}, tun.Backend())
//
// and then as package dataplane describes.
package tun

import (
	"errors"

	"github.com/gotnc/gotnc/ike/dataplane"
)

// ErrNoDevice: the kernel has no TUN devices, or the container none of them.
var ErrNoDevice = errors.New("/dev/net/tun does not exist")

// Backend returns the implementation for dataplane.Open.
func Backend() dataplane.Backend {
	return dataplane.Backend{Kind: dataplane.TUN, Works: "TUN devices work here", Probe: Probe, New: New, RemoveLeftovers: removeLeftovers}
}
