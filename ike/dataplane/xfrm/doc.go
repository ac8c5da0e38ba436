// Package xfrm has the kernel carry the packets of CHILD_SAs: states and
// policies of XFRM through netlink (ip-xfrm(8) shows them), virtual IPs and
// routes. The requests have the layout of those of iproute2. It needs a kernel
// with ESP and the right CAP_NET_ADMIN.
//
// # Usage
//
//	plane, err := dataplane.Open(dataplane.Config{Kind: dataplane.XFRM, Name: "home"}, xfrm.Backend())
//
// and then as package dataplane describes.
package xfrm

import "github.com/gotnc/gotnc/ike/dataplane"

// Backend returns the implementation for dataplane.Open.
func Backend() dataplane.Backend {
	return dataplane.Backend{Kind: dataplane.XFRM, Works: "the kernel has ESP", Probe: Probe, New: New, RemoveLeftovers: removeLeftovers}
}
