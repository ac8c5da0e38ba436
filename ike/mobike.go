package ike

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// mobility is the state of MOBIKE (RFC 4555).
type mobility struct {
	*core
	life     *lifetimes
	children *childSet

	enabled bool // both sides announced it
	update  bool // UPDATE_SA_ADDRESSES is to be sent
	tries   int
	mapped  []byte       // our address as the gateway saw it last (hash)
	others  []netip.Addr // further addresses of the gateway
}

const (
	cookie2Size       = 16
	minCookie2        = 8 // RFC 4555 section 4.2.5
	maxCookie2        = 64
	maxUpdates        = 5 // refused in a row
	maxOtherAddresses = 20
)

// roam moves the established IKE_SA to another local address: with MOBIKE the
// gateway is informed (RFC 4555 section 3.5), without a new IKE_SA is asked for.
func (b *mobility) roam(sa *ikeSA, local, localNATT netip.AddrPort) {
	before := b.path.local
	b.relocate(local, localNATT)
	if before == b.path.local {
		return
	}
	b.children.moved(before.Addr(), b.path.local.Addr())
	log.Infof(b.ike, "old path is not available anymore, using %s...%s", b.path.local.Addr(), b.path.remote.Addr())
	if !b.enabled {
		b.life.reauth(sa, "our address changed, and the gateway does not support MOBIKE")
		return
	}
	if b.state == stateEstablished {
		b.update, b.tries = true, 0
	}
	if sa.pending != nil {
		// What is out has to be answered first (window 1).
		sa.restart()
	}
}

// relocate makes local the address that datagrams leave from.
func (b *mobility) relocate(local, localNATT netip.AddrPort) {
	b.cfg.Local, b.cfg.LocalNATT = local, localNATT
	if b.path.local = local; b.path.marker {
		b.path.local = localNATT
	}
}

// sendUpdate sends UPDATE_SA_ADDRESSES with our return routability check.
func (b *mobility) sendUpdate(sa *ikeSA) {
	b.update = false
	cookie, err := b.random(cookie2Size)
	if err != nil {
		b.fail(err)
		return
	}
	b.ike.Info("sending address list update using MOBIKE")
	ps := append([]message.Payload{&message.Notify{NotifyType: message.UpdateSAAddresses}}, b.path.natHashes(sa.spii, sa.spir, b.cfg.ForceEncap)...)
	ps = append(ps, &message.Notify{NotifyType: message.Cookie2, Data: cookie})
	sa.request(request{exchange: message.Informational, what: doUpdate, payloads: ps, cookie2: cookie})
}

// updateAnswer checks that the gateway took the new path.
func (b *mobility) updateAnswer(sa *ikeSA, cookie2 []byte, msg *message.Message) {
	if b.state != stateEstablished || b.update {
		return // the address changed once more
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(b.ike, "received %s notify error", n.NotifyType)
		if b.tries++; b.tries > maxUpdates || n.NotifyType == message.UnacceptableAddresses {
			b.life.reauth(sa, fmt.Sprintf("the gateway refused our new address (%s)", n.NotifyType))
			return
		}
		b.update = true
		return
	}
	if n := msg.Notify(message.Cookie2); n == nil || !bytes.Equal(n.Data, cookie2) {
		b.ike.Info("COOKIE2 mismatch, discarding the path")
		b.life.reauth(sa, "the gateway did not prove that it is reachable over the new path")
		return
	}
	b.readNAT(sa, msg)
	log.Infof(b.ike, "IKE_SA %s moved to %s", sa.name(), b.ends())
	b.emit(Moved{Path: b.path.public(), Encap: b.path.encap()})
}

// readNAT compares the hashes in a response with the path; false where our
// address as the gateway sees it changed.
func (b *mobility) readNAT(sa *ikeSA, msg *message.Message) (same bool) {
	r := b.path.compare(sa.spii, sa.spir, msg)
	if !r.complete {
		return true
	}
	b.path.natLocal, b.path.natRemote, b.path.translated = r.local || b.cfg.ForceEncap, r.remote, r.local
	same = b.mapped == nil || bytes.Equal(b.mapped, r.mapped)
	b.mapped = clone(r.mapped)
	return same
}

// sendDPD asks whether the peer is there. Behind a NAT the hashes in the
// answer show whether our mapping changed (RFC 4555 section 3.8).
func (b *mobility) sendDPD(sa *ikeSA) {
	b.ike.Info("sending DPD request")
	r := request{exchange: message.Informational, what: doDPD}
	if b.enabled && b.path.natLocal {
		r.payloads = b.path.natHashes(sa.spii, sa.spir, b.cfg.ForceEncap)
	}
	sa.request(r)
}

func (b *mobility) dpdAnswer(sa *ikeSA, msg *message.Message) {
	if b.enabled && !b.readNAT(sa, msg) && b.state == stateEstablished {
		b.ike.Info("NAT mappings of ESP CHILD_SAs changed, updating")
		b.update = true
	}
}

// readAddresses reads the gateway's further addresses; a list replaces the last
// one (RFC 4555 section 3.6).
func (b *mobility) readAddresses(msg *message.Message) {
	var list []netip.Addr
	seen := false
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch n.NotifyType {
		case message.AdditionalIP4Address, message.AdditionalIP6Address:
			seen = true
			if a, ok := netip.AddrFromSlice(n.Data); ok && len(list) < maxOtherAddresses && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() {
				list = append(list, a.Unmap())
			}
		case message.NoAdditionalAddresses:
			seen = true
		}
	}
	if seen {
		b.others = list
	}
}

// tryOther moves to a further address of the gateway where the one in use does
// not answer any more; false where there is none left.
func (b *mobility) tryOther(sa *ikeSA) bool {
	if !b.enabled || b.state != stateEstablished {
		return false
	}
	for len(b.others) > 0 {
		a := b.others[0]
		b.others = b.others[1:]
		if a == b.path.remote.Addr() || a.Is4() != b.path.local.Addr().Is4() {
			continue
		}
		log.Infof(b.ike, "%s does not answer, trying %s", b.path.remote.Addr(), a)
		b.path.remote = netip.AddrPortFrom(a, b.path.remote.Port())
		b.update = true
		sa.restart()
		return true
	}
	return false
}
