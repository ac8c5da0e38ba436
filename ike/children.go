package ike

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	// lingerChild is how long the inbound half of a rekeyed CHILD_SA stays for
	// packets that are under way (charon.delete_rekeyed_delay).
	lingerChild = 5 * time.Second
	// maxChildren caps the CHILD_SAs that a peer can make us hold.
	maxChildren = 32
)

// childConfig is a configured CHILD_SA with its proposals read.
type childConfig struct {
	ChildConfig
	proposals []message.Proposal
}

// childState is what the machine remembers of a CHILD_SA.
type childState struct {
	cfg           *childConfig
	num           int // in the log: home{num}
	spiIn, spiOut uint32
	localTS       []TrafficSelector
	remoteTS      []TrafficSelector

	rekeyAt, expireAt time.Time
	// removeAt is when its inbound half goes; it is closed otherwise.
	removeAt time.Time
	rekeying bool // our CREATE_CHILD_SA for it is out
	deleting bool // our DELETE for it waits or is out
	closing  bool // it is to be deleted as soon as the window allows
	dead     bool // deleted by either side
	replaced bool // by a rekeyed one
	// peerRekey is what the peer made in its place, until the peer deletes it.
	peerRekey *peerChild
	standby   bool // made by the peer's rekeying: does not send yet
}

// peerChild is a CHILD_SA that the peer's rekeying made.
type peerChild struct {
	child  *childState
	ni, nr []byte
}

func (c *childState) String() string { return fmt.Sprintf("%s{%d}", c.cfg.Name, c.num) }

// wantedChildren reads the configured CHILD_SAs. The first one is for IKE_AUTH;
// those after it are returned.
func (m *Machine) wantedChildren() ([]*childConfig, error) {
	for i, c := range append([]ChildConfig{m.cfg.Child}, m.cfg.Children...) {
		if c.Name == "" {
			c.Name = m.cfg.Name
		}
		ps, err := proposals(message.ProtocolESP, c.Proposals)
		if err != nil {
			return nil, fmt.Errorf("ike: esp_proposals of %s: %w", c.Name, err)
		}
		if i == 0 {
			// A CHILD_SA of IKE_AUTH has no key exchange of its own (RFC 7296 §1.2).
			m.espProposals = crypto.WithoutKE(ps)
		}
		m.configured = append(m.configured, &childConfig{c, ps})
	}
	return slices.Clone(m.configured[1:]), nil
}

// addChild takes a CHILD_SA into the books.
func (m *Machine) addChild(cfg *childConfig, sa *ChildSA) *childState {
	m.childNum++
	c := &childState{cfg: cfg, num: m.childNum, spiIn: sa.SPIIn, spiOut: sa.SPIOut, localTS: sa.LocalTS, remoteTS: sa.RemoteTS}
	if cfg.RekeyTime > 0 {
		c.rekeyAt = m.now.Add(cfg.RekeyTime - m.jitter(cfg.RandTime))
	}
	if cfg.LifeTime > 0 {
		c.expireAt = m.now.Add(cfg.LifeTime)
	}
	m.children = append(m.children, c)
	return c
}

// findChild returns the living CHILD_SA that sends with spiOut.
func (m *Machine) findChild(spiOut []byte) *childState {
	if len(spiOut) != 4 {
		return nil
	}
	for _, c := range m.children {
		if !c.dead && c.spiOut == binary.BigEndian.Uint32(spiOut) {
			return c
		}
	}
	return nil
}

// bury takes a CHILD_SA out of use. What replaced it sends from now on; the
// inbound half lingers.
func (m *Machine) bury(c *childState) {
	if c.dead {
		return
	}
	c.dead = true
	for _, o := range m.children {
		if o.peerRekey != nil && o.peerRekey.child == c {
			o.peerRekey = nil // the peer took it back: the one before stays, and may be rekeyed
		}
	}
	if p := c.peerRekey; p != nil && !p.child.dead {
		c.replaced, c.peerRekey = true, nil
		m.activate(p.child)
	}
	if c.replaced {
		c.removeAt = m.now.Add(lingerChild)
		return
	}
	m.children = slices.DeleteFunc(m.children, func(o *childState) bool { return o == c })
	m.emit(ChildClosed{SPIIn: c.spiIn, SPIOut: c.spiOut})
}

// activate lets a CHILD_SA that the peer's rekeying made send.
func (m *Machine) activate(c *childState) {
	if !c.standby {
		return
	}
	c.standby = false
	log.Infof(m.ike, "outbound CHILD_SA %s established with SPIs %08x_i %08x_o and TS %s === %s",
		c, c.spiIn, c.spiOut, selectors(c.localTS), selectors(c.remoteTS))
	m.emit(ChildActive{SPIIn: c.spiIn})
}

// deleteChildSA sends DELETE for a CHILD_SA of ours.
func (m *Machine) deleteChildSA(c *childState) {
	if c.dead || c.deleting {
		return
	}
	c.deleting, c.closing = true, false
	log.Infof(m.ike, "closing CHILD_SA %s with SPIs %08x_i %08x_o and TS %s === %s",
		c, c.spiIn, c.spiOut, selectors(c.localTS), selectors(c.remoteTS))
	log.Infof(m.ike, "sending DELETE for ESP CHILD_SA with SPI %08x", c.spiIn)
	m.request(request{exchange: message.Informational, what: doDeleteChild, child: c, payloads: []message.Payload{
		&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, c.spiIn)}}}})
}

// peerDeletes answers the peer's inbound SPIs with ours (RFC 7296 §1.4.1). For
// a CHILD_SA whose DELETE of ours is out there is none in the answer.
func (m *Machine) peerDeletes(d *message.Delete) (reply *message.Delete, gone []*childState) {
	reply = &message.Delete{Protocol: message.ProtocolESP}
	for _, spi := range d.SPIs {
		c := m.findChild(spi)
		if c == nil || slices.Contains(gone, c) {
			continue
		}
		log.Infof(m.ike, "received DELETE for ESP CHILD_SA with SPI %08x", c.spiOut)
		gone = append(gone, c)
		if !c.deleting {
			reply.SPIs = append(reply.SPIs, binary.BigEndian.AppendUint32(nil, c.spiIn))
		}
	}
	return reply, gone
}

// peerClosed buries what the peer deleted, and sets up anew what has to stay.
func (m *Machine) peerClosed(c *childState) {
	again := c.cfg.Restart && !c.replaced && !c.standby && c.peerRekey == nil && !c.rekeying && !c.deleting
	m.bury(c)
	m.ike.Info("CHILD_SA closed")
	if again && m.state == stateEstablished {
		m.wanted = append(m.wanted, c.cfg)
	}
}

// newChildSPI draws an inbound SPI in strongSwan's range that is not in use;
// below 256 they are reserved (RFC 4303 §2.1).
func (m *Machine) newChildSPI() (uint32, error) {
	for {
		b, err := m.random(4)
		if err != nil {
			return 0, err
		}
		spi := 0xc0000000 | binary.BigEndian.Uint32(b)&0x0fffffff
		if !slices.ContainsFunc(m.children, func(c *childState) bool { return c.spiIn == spi }) {
			return spi, nil
		}
	}
}

// selectorsOf fills the dynamic selectors of a configured CHILD_SA in: with
// the virtual IPs where there are any, else with the addresses of the IKE_SA.
func (m *Machine) selectorsOf(c *childConfig) (local, remote []TrafficSelector) {
	ours := m.assigned.Addresses
	if len(m.cfg.VirtualIPs) == 0 {
		ours = append(ours[:0:0], host(m.local.Addr()))
	}
	if len(c.LocalTS) == 0 {
		c.LocalTS = []TrafficSelector{DynamicSelector}
	}
	if len(c.RemoteTS) == 0 {
		c.RemoteTS = []TrafficSelector{DynamicSelector}
	}
	for _, t := range c.LocalTS {
		if !IsDynamic(t) {
			local = append(local, t)
			continue
		}
		for _, p := range ours {
			local = append(local, withAddr(t, p))
		}
	}
	for _, t := range c.RemoteTS {
		if IsDynamic(t) {
			t = withAddr(t, host(m.remote.Addr()))
		}
		remote = append(remote, t)
	}
	return local, remote
}

// encap reports whether ESP has to travel in UDP.
func (m *Machine) encap() bool { return m.natt && m.marker && (m.natLocal || m.natRemote) }

func (m *Machine) childUp(c *childState, direction string) {
	log.Infof(m.ike, "%sCHILD_SA %s established with SPIs %08x_i %08x_o and TS %s === %s",
		direction, c, c.spiIn, c.spiOut, selectors(c.localTS), selectors(c.remoteTS))
}
