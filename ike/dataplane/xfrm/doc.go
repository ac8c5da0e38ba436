// Package xfrm has the kernel carry the packets of CHILD_SAs: states and
// policies of XFRM through netlink (ip-xfrm(8) shows them), virtual IPs and
// routes. The requests are laid out as iproute2 lays them out.
package xfrm
