package ike

import (
	"encoding/binary"
	"fmt"
	"net/netip"
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

// childConfig is a configured CHILD_SA with its proposals parsed.
type childConfig struct {
	ChildConfig
	proposals []message.Proposal
	optional  []bool           // by proposal: it is a default one, which a key exchange may be added to
	ke        message.KEMethod // of the last exchange that made a CHILD_SA with one

	refusals int  // of the gateway since its last CHILD_SA was made
	renewing bool // its CHILD_SA closed, and another one is to be set up for it
}

// childState is what the Machine remembers of a CHILD_SA.
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
	// successor is what the peer's rekeying made, until the peer deletes this one.
	successor *peerChild
	// rival is the successor after that, where our rekeying is still out: the nonces
	// decide which of the two stays.
	rival   *peerChild
	standby bool // made by the peer's rekeying: does not send yet
	// unproven: set up by the peer, on that IKE_SA, beside another one for the same
	// traffic; it does not send before the peer shows that it has our answer.
	unproven *ikeSA
}

// peerChild is a CHILD_SA that the peer's rekeying made.
type peerChild struct {
	child  *childState
	ni, nr []byte
}

func (c *childState) String() string { return fmt.Sprintf("%s{%d}", c.cfg.Name, c.num) }

// rekeyable reports whether it may be rekeyed now.
func (c *childState) rekeyable() bool {
	return !c.dead && !c.deleting && c.successor == nil && !c.standby
}

// sends reports whether packets leave on it, and it is there to stay.
func (c *childState) sends() bool {
	return !c.dead && !c.deleting && !c.replaced && !c.standby && c.unproven == nil
}

// childSet is the CHILD_SAs: those that exist, and those that are wanted.
type childSet struct {
	*core
	life   *lifetimes
	follow *followUps

	configured []*childConfig
	list       []*childState
	count      int            // CHILD_SAs so far, for the log
	wanted     []*childConfig // to be set up
	wantedAt   time.Time      // not before
	first      *createJob     // what IKE_AUTH asks for
	assigned   Internal       // virtual IPs of the gateway
	early      earlyDeletes
}

// load parses the configured CHILD_SAs. The first one is for IKE_AUTH; the
// others are wanted after it.
func (set *childSet) load() error {
	for _, c := range set.cfg.Children {
		if c.Name == "" {
			c.Name = set.cfg.Name
		}
		cfg := &childConfig{}
		if err := cfg.parse(c.Proposals); err != nil {
			return fmt.Errorf("ike: esp_proposals of %s: %w", c.Name, err)
		}
		if len(c.LocalTS) == 0 {
			c.LocalTS = []TrafficSelector{DynamicSelector}
		}
		if len(c.RemoteTS) == 0 {
			c.RemoteTS = []TrafficSelector{DynamicSelector}
		}
		cfg.ChildConfig = c
		set.configured = append(set.configured, cfg)
	}
	set.wanted = slices.Clone(set.configured[1:])
	return nil
}

// want asks for a configured CHILD_SA, where none exists and none is being made.
func (set *childSet) want(sa *ikeSA, name string, t *Trigger) {
	for _, c := range set.configured {
		if c.Name != name || slices.Contains(set.wanted, c) ||
			slices.ContainsFunc(set.list, func(o *childState) bool { return o.cfg.Name == name && !o.dead }) ||
			sa.pending != nil && sa.pending.job != nil && sa.pending.job.cfg == c {
			continue
		}
		c.Trigger = t
		set.wanted = append(set.wanted, c)
	}
}

// add registers a CHILD_SA and starts its timers.
func (set *childSet) add(cfg *childConfig, sa *ChildSA) *childState {
	set.count++
	if cfg.renewing { // by a rekeying that was out when the old one closed
		set.wanted = slices.DeleteFunc(set.wanted, func(o *childConfig) bool { return o == cfg })
	}
	cfg.refusals, cfg.renewing, cfg.Trigger = 0, false, nil
	c := &childState{cfg: cfg, num: set.count, spiIn: sa.SPIIn, spiOut: sa.SPIOut, localTS: sa.LocalTS, remoteTS: sa.RemoteTS}
	if cfg.RekeyTime > 0 {
		c.rekeyAt = set.now.Add(cfg.RekeyTime - set.jitter(cfg.RandTime))
	}
	if cfg.LifeTime > 0 {
		c.expireAt = set.now.Add(cfg.LifeTime)
	}
	set.list = append(set.list, c)
	return c
}

// remove unregisters a CHILD_SA.
func (set *childSet) remove(c *childState) {
	set.list = slices.DeleteFunc(set.list, func(o *childState) bool { return o == c })
}

// find returns the living CHILD_SA that sends with spiOut; nil = none.
func (set *childSet) find(spiOut []byte) *childState {
	if len(spiOut) != 4 {
		return nil
	}
	for _, c := range set.list {
		if !c.dead && c.spiOut == binary.BigEndian.Uint32(spiOut) {
			return c
		}
	}
	return nil
}

// retire ends the use of a CHILD_SA. What replaced it sends from now on; the
// inbound half lingers.
func (set *childSet) retire(c *childState) {
	if c.dead {
		return
	}
	c.dead = true
	for _, o := range set.list {
		if o.successor != nil && o.successor.child == c {
			o.successor = nil // the peer took it back: the old one stays, and may be rekeyed
		}
	}
	if p := c.successor; p != nil && !p.child.dead {
		c.replaced, c.successor = true, nil
		if c.rekeying {
			c.rival = p
		}
		set.activate(p.child)
	}
	if c.replaced {
		c.removeAt = set.now.Add(lingerChild)
		c.proveOthers(set)
		return
	}
	set.remove(c)
	c.proveOthers(set)
	set.emit(ChildClosed{SPIIn: c.spiIn, SPIOut: c.spiOut, Renewing: c.cfg.renewing && set.state == stateEstablished})
}

// activate lets a CHILD_SA that the peer's rekeying made send.
func (set *childSet) activate(c *childState) {
	if !c.standby {
		return
	}
	c.standby = false
	set.logUp(c, "outbound ")
	set.emit(ChildActive{SPIIn: c.spiIn})
}

// delete sends DELETE for a CHILD_SA.
func (set *childSet) delete(sa *ikeSA, c *childState) {
	if c.dead || c.deleting {
		return
	}
	c.deleting, c.closing = true, false
	log.Infof(set.ike, "closing CHILD_SA %s with SPIs %08x_i %08x_o and TS %s === %s",
		c, c.spiIn, c.spiOut, selectors(c.localTS), selectors(c.remoteTS))
	log.Infof(set.ike, "sending DELETE for ESP CHILD_SA with SPI %08x", c.spiIn)
	sa.deleteESP(c.spiIn, c)
}

// deleted handles the answer to our DELETE.
func (set *childSet) deleted(c *childState) {
	set.ike.Info("CHILD_SA closed")
	c.deleting = false
	set.retire(c)
}

// peerDeletes answers the peer's inbound SPIs with ours (RFC 7296 section
// 1.4.1). A CHILD_SA whose DELETE we sent ourselves is not in the answer.
func (set *childSet) peerDeletes(d *message.Delete) (reply *message.Delete, closed []*childState) {
	reply = &message.Delete{Protocol: message.ProtocolESP}
	for _, spi := range d.SPIs {
		c := set.find(spi)
		if c == nil {
			set.early.add(spi)
		}
		if c == nil || slices.Contains(closed, c) {
			continue
		}
		log.Infof(set.ike, "received DELETE for ESP CHILD_SA with SPI %08x", c.spiOut)
		closed = append(closed, c)
		if !c.deleting {
			reply.SPIs = append(reply.SPIs, espSPI(c.spiIn))
		}
	}
	return reply, closed
}

// peerClosed retires what the peer deleted, and asks for it again where the
// configuration says so.
func (set *childSet) peerClosed(c *childState) {
	if !c.standby && c.successor == nil && !c.rekeying && !c.deleting {
		c.restart(set)
	}
	set.retire(c)
	set.ike.Info("CHILD_SA closed")
}

// restart asks for a CHILD_SA for c, which the peer deleted, where the configuration
// says so and no other has followed it.
func (c *childState) restart(set *childSet) {
	other := func(o *childState) bool { return o != c && o.cfg == c.cfg && !o.dead && !o.replaced }
	if c.cfg.Restart && !c.replaced && set.state == stateEstablished && !slices.ContainsFunc(set.list, other) {
		c.cfg.renew(set)
	}
}

// renew asks for a CHILD_SA for the one that closed. The IKE_SA ends where the
// gateway refuses that, and has no other.
func (cfg *childConfig) renew(set *childSet) {
	cfg.renewing, cfg.refusals = true, 0
	if !slices.Contains(set.wanted, cfg) {
		set.wanted = append(set.wanted, cfg)
	}
}

// newSPI draws an inbound SPI in strongSwan's range that is not in use.
func (set *childSet) newSPI() (uint32, error) {
	for {
		b, err := set.random(4)
		if err != nil {
			return 0, err
		}
		spi := 0xc0000000 | binary.BigEndian.Uint32(b)&0x0fffffff
		if !slices.ContainsFunc(set.list, func(c *childState) bool { return c.spiIn == spi }) {
			return spi, nil
		}
	}
}

// addresses returns what "dynamic" means on our side: the virtual IPs where
// there are any, else the address of the IKE_SA.
func (set *childSet) addresses() []netip.Prefix {
	if len(set.assigned.Addresses) > 0 {
		return set.assigned.Addresses
	}
	return []netip.Prefix{host(set.path.local.Addr())}
}

// selectors returns the selectors of a configured CHILD_SA, with the dynamic
// ones filled in: ours with the given addresses.
func (set *childSet) selectors(c *childConfig, ours []netip.Prefix) (local, remote []TrafficSelector) {
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
			t = withAddr(t, host(set.path.remote.Addr()))
		}
		remote = append(remote, t)
	}
	return local, remote
}

// moved replaces our outer address in the selectors that protect it.
func (set *childSet) moved(from, to netip.Addr) {
	for _, c := range set.list {
		c.localTS = slices.Clone(c.localTS)
		for i, t := range c.localTS {
			if len(set.assigned.Addresses) == 0 && t.Start == from && t.End == from {
				c.localTS[i] = withAddr(t, host(to))
			}
		}
	}
}

// childSA makes the CHILD_SA that was agreed on.
func (set *childSet) childSA(g *agreement, keys *crypto.ChildKeys) *ChildSA {
	return &ChildSA{
		Name: g.cfg.Name, SPIIn: g.spiIn, SPIOut: binary.BigEndian.Uint32(g.chosen.SPI), ESP: g.esp, Keys: keys,
		LocalTS: g.local, RemoteTS: g.remote, Internal: set.assigned, Encap: set.path.encap(), Local: set.path.local, Remote: set.path.remote,
	}
}

// logUp logs that a CHILD_SA, or the half of it that direction names, is in use.
func (set *childSet) logUp(c *childState, direction string) {
	log.Infof(set.ike, "%sCHILD_SA %s established with SPIs %08x_i %08x_o and TS %s === %s",
		direction, c, c.spiIn, c.spiOut, selectors(c.localTS), selectors(c.remoteTS))
}
