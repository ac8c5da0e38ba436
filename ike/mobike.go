package ike

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// mobility is the state of MOBIKE (RFC 4555).
type mobility struct {
	enabled bool // both sides announced it
	update  bool // UPDATE_SA_ADDRESSES is to be sent
	cookie2 []byte
	tries   int
	mapped  []byte       // our address as the gateway saw it last (hash)
	others  []netip.Addr // further addresses of the gateway
}

const (
	cookie2Size       = 16
	maxUpdates        = 5 // refused in a row
	maxOtherAddresses = 20
)

// Roam tells that our addresses are now local and localNATT (zero: the same).
// With MOBIKE the gateway is told and the IKE_SA stays (RFC 4555 §3.5);
// without, ReauthDue asks for a new one. Before the IKE_SA is established it
// fails with ErrMoved.
func (m *Machine) Roam(now time.Time, local, localNATT netip.AddrPort) Outputs {
	m.begin(now)
	if !localNATT.IsValid() {
		localNATT = local
	}
	switch {
	case m.state == stateCreated:
		m.cfg.Local, m.cfg.LocalNATT = local, localNATT
		m.local = local
		if m.marker {
			m.local = localNATT
		}
		return m.end()
	case m.state == stateDone:
		return m.end()
	case m.connecting():
		m.fail(fmt.Errorf("%w from %s to %s while connecting", ErrMoved, m.local.Addr(), local.Addr()))
		return m.end()
	}
	m.cfg.Local, m.cfg.LocalNATT = local, localNATT
	before := m.local
	if m.local = local; m.marker {
		m.local = localNATT
	}
	if before == m.local {
		return m.end()
	}
	for _, c := range m.children {
		// What protects our outer address follows it.
		c.localTS = slices.Clone(c.localTS)
		for i, t := range c.localTS {
			if len(m.cfg.VirtualIPs) == 0 && t.Start == before.Addr() && t.End == before.Addr() {
				c.localTS[i] = withRange(t, m.local.Addr())
			}
		}
	}
	log.Infof(m.ike, "old path is not available anymore, using %s...%s", m.local.Addr(), m.remote.Addr())
	if !m.mobility.enabled {
		m.reauth("our address changed, and the gateway does not support MOBIKE")
		return m.end()
	}
	if m.state == stateEstablished {
		m.mobility.update, m.mobility.tries = true, 0
	}
	if x := m.pending; x != nil {
		// What is out has to be answered first (window 1): it goes out again
		// over the new path, with a fresh schedule.
		x.sent = 1
		x.due = m.now.Add(m.cfg.Retransmission.wait(0))
		m.transmit(x.packets)
	}
	return m.end()
}

// natHashes are the NAT_DETECTION notifies for the path as it is.
func (m *Machine) natHashes() []message.Payload {
	source := crypto.NATDetection(m.spii, m.spir, m.local)
	if m.cfg.ForceEncap {
		any := netip.IPv4Unspecified()
		if m.local.Addr().Is6() {
			any = netip.IPv6Unspecified()
		}
		source = crypto.NATDetection(m.spii, m.spir, netip.AddrPortFrom(any, 0))
	}
	return []message.Payload{
		&message.Notify{NotifyType: message.NATDetectionSourceIP, Data: source},
		&message.Notify{NotifyType: message.NATDetectionDestinationIP, Data: crypto.NATDetection(m.spii, m.spir, m.remote)},
	}
}

// sendUpdate sends UPDATE_SA_ADDRESSES with a return routability check of ours.
func (m *Machine) sendUpdate() {
	m.mobility.update = false
	cookie, err := m.random(cookie2Size)
	if err != nil {
		m.fail(err)
		return
	}
	m.mobility.cookie2 = cookie
	m.ike.Info("sending address list update using MOBIKE")
	ps := append([]message.Payload{&message.Notify{NotifyType: message.UpdateSAAddresses}}, m.natHashes()...)
	ps = append(ps, &message.Notify{NotifyType: message.Cookie2, Data: cookie})
	m.request(request{exchange: message.Informational, what: doUpdate, payloads: ps})
}

// updateAnswer settles the new path.
func (m *Machine) updateAnswer(msg *message.Message) {
	if m.state != stateEstablished || m.mobility.update {
		return // the address changed once more
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		if m.mobility.tries++; m.mobility.tries > maxUpdates || n.NotifyType == message.UnacceptableAddresses {
			m.reauth(fmt.Sprintf("the gateway refused our new address (%s)", n.NotifyType))
			return
		}
		m.mobility.update = true
		return
	}
	if n := msg.Notify(message.Cookie2); n == nil || !bytes.Equal(n.Data, m.mobility.cookie2) {
		m.ike.Info("COOKIE2 mismatch, discarding the path")
		m.reauth("the gateway did not prove that it is reachable over the new path")
		return
	}
	m.readNAT(msg)
	log.Infof(m.ike, "IKE_SA %s moved to %s", m.name(), m.ends())
	m.emit(Moved{Path: m.Path(), Encap: m.encap()})
}

// readNAT compares the hashes in a response with the path; false where there
// are none, or our address as the gateway sees it changed.
func (m *Machine) readNAT(msg *message.Message) (same bool) {
	from := crypto.NATDetection(m.spii, m.spir, m.remote)
	to := crypto.NATDetection(m.spii, m.spir, m.local)
	var source, sourceOK, destOK bool
	var dest []byte
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch n.NotifyType {
		case message.NATDetectionSourceIP:
			source = true
			sourceOK = sourceOK || subtle.ConstantTimeCompare(n.Data, from) == 1
		case message.NATDetectionDestinationIP:
			dest = n.Data
			destOK = destOK || subtle.ConstantTimeCompare(n.Data, to) == 1
		}
	}
	if !source || dest == nil {
		return true
	}
	m.natLocal, m.natRemote = !destOK || m.cfg.ForceEncap, !sourceOK
	same = m.mobility.mapped == nil || bytes.Equal(m.mobility.mapped, dest)
	m.mobility.mapped = clone(dest)
	return same
}

// sendDPD asks whether the peer is there. Behind a NAT the hashes in the
// answer show whether our mapping changed (RFC 4555 §3.8).
func (m *Machine) sendDPD() {
	m.ike.Info("sending DPD request")
	r := request{exchange: message.Informational, what: doDPD}
	if m.mobility.enabled && m.natLocal {
		r.payloads = m.natHashes()
	}
	m.request(r)
}

func (m *Machine) dpdAnswer(msg *message.Message) {
	if m.mobility.enabled && !m.readNAT(msg) && m.state == stateEstablished {
		m.ike.Info("NAT mappings of ESP CHILD_SAs changed, updating")
		m.mobility.update = true
	}
}

// otherAddresses keeps the gateway's further addresses; a list replaces the
// one before (RFC 4555 §3.6).
func (m *Machine) otherAddresses(msg *message.Message) {
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
		m.mobility.others = list
	}
}

// tryOther moves to a further address of the gateway where the one in use does
// not answer any more; false where there is none left.
func (m *Machine) tryOther() bool {
	if !m.mobility.enabled || m.state != stateEstablished {
		return false
	}
	for len(m.mobility.others) > 0 {
		a := m.mobility.others[0]
		m.mobility.others = m.mobility.others[1:]
		if a == m.remote.Addr() || a.Is4() != m.local.Addr().Is4() {
			continue
		}
		log.Infof(m.ike, "%s does not answer, trying %s", m.remote.Addr(), a)
		m.remote = netip.AddrPortFrom(a, m.remote.Port())
		m.mobility.update = true
		m.pending.sent = 1
		m.pending.due = m.now.Add(m.cfg.Retransmission.wait(0))
		m.transmit(m.pending.packets)
		return true
	}
	return false
}

// withRange is t for the one address a.
func withRange(t TrafficSelector, a netip.Addr) TrafficSelector { return withAddr(t, host(a)) }
