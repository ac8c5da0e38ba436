package ike

import (
	"crypto/subtle"
	"net/netip"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// Path is the way that datagrams take now.
type Path struct {
	Local, Remote       netip.AddrPort
	Marker              bool // IKE goes behind the non-ESP marker; ESP may go in UDP
	NATLocal, NATRemote bool // who is behind a NAT; NATLocal also where ForceEncap says so
}

// path is the way of datagrams, and what NAT detection found on it.
type path struct {
	local, remote       netip.AddrPort
	marker              bool
	natLocal, natRemote bool
	natt                bool // the peer takes part in NAT traversal
	translated          bool // we are behind a NAT; natLocal may only say so (ForceEncap)
}

// public returns the path for the user of the Machine.
func (p *path) public() Path {
	return Path{Local: p.local, Remote: p.remote, Marker: p.marker, NATLocal: p.natLocal, NATRemote: p.natRemote}
}

// encap reports whether ESP has to travel in UDP.
func (p *path) encap() bool { return p.natt && p.marker && (p.natLocal || p.natRemote) }

// natHashes returns the NAT_DETECTION notifies for the path (RFC 7296 section
// 2.23). With force the source is hashed as the unspecified address, which no
// packet comes from: the peer then sees a NAT.
func (p *path) natHashes(spii, spir message.SPI, force bool) []message.Payload {
	source := p.local
	if force {
		unspecified := netip.IPv4Unspecified()
		if p.local.Addr().Is6() {
			unspecified = netip.IPv6Unspecified()
		}
		source = netip.AddrPortFrom(unspecified, 0)
	}
	return []message.Payload{
		&message.Notify{NotifyType: message.NATDetectionSourceIP, Data: crypto.NATDetection(spii, spir, source)},
		&message.Notify{NotifyType: message.NATDetectionDestinationIP, Data: crypto.NATDetection(spii, spir, p.remote)},
	}
}

// natReport is what the peer's NAT_DETECTION notifies say.
type natReport struct {
	complete      bool   // both kinds were sent
	local, remote bool   // that end is behind a NAT
	mapped        []byte // the hash of our address as the peer sees it
}

// compare holds the peer's NAT_DETECTION notifies against the path.
func (p *path) compare(spii, spir message.SPI, msg *message.Message) (r natReport) {
	from := crypto.NATDetection(spii, spir, p.remote)
	to := crypto.NATDetection(spii, spir, p.local)
	source := false
	r.local, r.remote = true, true
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch n.NotifyType {
		case message.NATDetectionSourceIP:
			source = true
			r.remote = r.remote && subtle.ConstantTimeCompare(n.Data, from) != 1
		case message.NATDetectionDestinationIP:
			r.mapped = n.Data
			r.local = r.local && subtle.ConstantTimeCompare(n.Data, to) != 1
		}
	}
	r.complete = source && r.mapped != nil
	return r
}
