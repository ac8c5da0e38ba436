package ike

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Machine is one connection as IKEv2 initiator: an IKE_SA, those that rekeying
// replaces it with, and their CHILD_SAs. It has no socket, clock or goroutine:
// the caller hands in time and datagrams and carries out the Outputs. Not safe
// for concurrent use.
//
//	CREATED -> IKE_SA_INIT -> [IKE_INTERMEDIATE …] -> IKE_AUTH [IDi SA TS] -> IKE_AUTH [EAP] … -> IKE_AUTH [AUTH] -> ESTABLISHED -> DELETING -> done
//
// Where we authenticate with a signature or preshared key, the first IKE_AUTH
// carries AUTH and no EAP follows; with several rounds (RFC 4739) IKE_AUTH
// begins again with IDi.
type Machine struct {
	core

	sas      saSet
	init     initExchange
	auth     authentication
	children childSet
	follow   followUps
	life     lifetimes
	mobility mobility
	silence  espSilence
	redirect redirection
	keys     keyLog

	answered    int // our requests that were answered
	establishBy time.Time
	lastIn      time.Time // last sign of life, authenticated
}

// New checks cfg and returns a Machine that has sent nothing yet.
func New(cfg Config) (*Machine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m := &Machine{core: newCore(cfg)}
	c := &m.core
	m.life.core, m.redirect.core = c, c
	m.life.busy.life = &m.life
	m.follow = followUps{core: c, life: &m.life}
	m.children = childSet{core: c, life: &m.life, follow: &m.follow}
	m.mobility = mobility{core: c, life: &m.life, children: &m.children}
	m.silence = espSilence{core: c, mobile: &m.mobility, children: &m.children}
	m.sas = saSet{core: c, life: &m.life, follow: &m.follow, mobile: &m.mobility, current: &ikeSA{core: c, initiator: true, num: cfg.ID}, count: cfg.ID}
	m.init = initExchange{core: c, redirect: &m.redirect, triedKE: map[message.KEMethod]bool{}}
	m.auth = authentication{core: c, init: &m.init, children: &m.children}
	ps, err := proposals(message.ProtocolIKE, cfg.Proposals)
	if err != nil {
		return nil, fmt.Errorf("ike: proposals of %s: %w", cfg.Name, err)
	}
	m.init.proposals, m.sas.proposals = ps, ps
	if err := m.children.load(); err != nil {
		return nil, err
	}
	return m, nil
}

func proposals(p message.ProtocolID, list []string) ([]message.Proposal, error) {
	if len(list) == 0 {
		if p == message.ProtocolIKE {
			return crypto.DefaultIKE(), nil
		}
		return crypto.DefaultESP(), nil
	}
	return crypto.ParseProposals(p, list)
}

// begin and end frame every call.
func (m *Machine) begin(now time.Time) { m.now, m.out = now, Outputs{} }

func (m *Machine) end() Outputs {
	if m.state != stateDone {
		m.keys.log(m.sas.current)
		m.redirect.follow(m.sas.current)
		m.sas.current.flush()
		m.startDue()
	}
	if m.state == stateDone {
		m.Close()
	}
	out := m.out
	m.out = Outputs{}
	return out
}

// Start sends IKE_SA_INIT. It may be called once.
func (m *Machine) Start(now time.Time) Outputs {
	m.begin(now)
	if m.state != stateCreated {
		return m.end()
	}
	m.establishBy = now.Add(m.cfg.Timers.EstablishTimeout)
	sa := m.sas.current
	log.Infof(m.ike, "initiating IKE_SA %s to %s", sa.name(), m.path.remote.Addr())
	if err := m.init.start(sa); err != nil {
		m.fail(err)
	}
	return m.end()
}

// Handle processes one datagram. What cannot be used is logged and dropped.
func (m *Machine) Handle(now time.Time, d Datagram) Outputs {
	m.begin(now)
	if m.state != stateCreated && m.state != stateDone {
		m.receive(d)
	}
	return m.end()
}

// Resume delivers the Result of a Work. One that is late, that was delivered
// already, or that belongs to another Machine does nothing.
func (m *Machine) Resume(now time.Time, r Result) Outputs {
	m.begin(now)
	m.auth.resume(r)
	m.checkEstablished()
	return m.end()
}

// Tick carries out what is due at now: retransmission, dead peer detection,
// giving up. To call it too early does nothing.
func (m *Machine) Tick(now time.Time) Outputs {
	m.begin(now)
	pending := m.sas.current.pending
	switch {
	case m.state == stateCreated || m.state == stateDone:
	case m.connecting() && !now.Before(m.establishBy):
		m.fail(fmt.Errorf("%w: %s are over", ErrTimeout, m.cfg.Timers.EstablishTimeout))
	case pending != nil:
		if !now.Before(pending.due) {
			m.retransmit(m.sas.current)
		}
	case m.state == stateEstablished && m.cfg.Timers.DPDDelay > 0 && !now.Before(m.lastIn.Add(m.cfg.Timers.DPDDelay)):
		m.mobility.sendDPD(m.sas.current)
	}
	m.auth.expire()
	m.tickLife()
	return m.end()
}

// Alive notes that the peer showed life outside IKE: an ESP packet that
// authenticated at the given time. It puts dead peer detection off.
func (m *Machine) Alive(at time.Time) {
	if at.After(m.lastIn) {
		m.lastIn = at
	}
	m.silence.received(at)
}

// Sent notes that an ESP packet was sent at the given time. Where none comes back
// while the gateway answers IKE, and we are behind a NAT, the gateway is told where we
// are.
func (m *Machine) Sent(at time.Time) { m.silence.sends(at) }

// Delete starts the orderly end: DELETE is sent, and Closed follows with the
// answer, or when the retransmissions end. A rekeying of the IKE_SA that is under way
// is finished first, and what it made is deleted. Before the IKE_SA is established it
// ends at once and without a packet, as in strongSwan.
func (m *Machine) Delete(now time.Time) Outputs {
	m.begin(now)
	switch {
	case m.state == stateEstablished:
		m.state = stateDeleting
		log.Infof(m.ike, "deleting IKE_SA %s between %s", m.sas.current.name(), m.ends())
		m.sas.delete(m.sas.current)
	case m.state != stateDone && m.state != stateDeleting:
		if m.state != stateCreated {
			log.Infof(m.ike, "destroying IKE_SA in state %s without notification", m.state)
		}
		m.finish(Closed{})
	}
	return m.end()
}

// Close forgets all keys without sending anything. The Machine is finished.
// It may be called again.
func (m *Machine) Close() {
	m.state = stateDone
	m.init.zero()
	m.follow.drop()
	m.sas.zero()
	m.auth.waiting = nil
	m.children.list, m.children.wanted = nil, nil
}

// Roam reports that our addresses are now local and localNATT (zero: the same).
// With MOBIKE the gateway is informed and the IKE_SA stays (RFC 4555 section 3.5);
// without, ReauthDue asks for a new one. Before the IKE_SA is established it
// fails with ErrMoved.
func (m *Machine) Roam(now time.Time, local, localNATT netip.AddrPort) Outputs {
	m.begin(now)
	if !localNATT.IsValid() {
		localNATT = local
	}
	switch {
	case m.state == stateDone:
	case m.state == stateCreated:
		m.mobility.relocate(local, localNATT)
	case m.connecting():
		m.fail(fmt.Errorf("%w from %s to %s while connecting", ErrMoved, m.path.local.Addr(), local.Addr()))
	default:
		m.mobility.roam(m.sas.current, local, localNATT)
	}
	return m.end()
}

// Probe asks the gateway for a sign of life, unless an exchange is under way.
func (m *Machine) Probe(now time.Time) Outputs {
	m.begin(now)
	if m.idle() {
		m.mobility.sendDPD(m.sas.current)
	}
	return m.end()
}

// Reauthenticate asks for a new IKE_SA by ReauthDue, once in the life of an IKE_SA, for
// the reason that why names. This one goes on until it is deleted.
func (m *Machine) Reauthenticate(now time.Time, why string) Outputs {
	m.begin(now)
	m.life.reauth(m.sas.current, why)
	return m.end()
}

// Rekey starts rekeying the IKE_SA as soon as the window allows.
func (m *Machine) Rekey(now time.Time) Outputs {
	m.begin(now)
	if m.state == stateEstablished {
		m.life.rekeyAt = now
	}
	return m.end()
}

// RekeyChildren starts rekeying every CHILD_SA.
func (m *Machine) RekeyChildren(now time.Time) Outputs {
	m.begin(now)
	for _, c := range m.children.list {
		if !c.dead {
			c.rekeyAt = now
		}
	}
	return m.end()
}

// Initiate sets up the configured CHILD_SA of that name, where none exists and
// none is being made. The packet asks for it; nil = none.
func (m *Machine) Initiate(now time.Time, name string, packet *Trigger) Outputs {
	m.begin(now)
	if m.state == stateEstablished {
		m.children.want(m.sas.current, name, packet)
	}
	return m.end()
}

// Done reports whether the Machine is finished.
func (m *Machine) Done() bool { return m.state == stateDone }

// Path returns the way that datagrams take now. It is final with the answer to
// IKE_SA_INIT, until one end moves.
func (m *Machine) Path() Path { return m.path.public() }

// Exchanges returns how many of our requests were answered so far, IKE_SA_INIT
// among them.
func (m *Machine) Exchanges() int { return m.answered }

// Owns reports whether a datagram is for an IKE_SA of this Machine, by its
// SPIs. Nothing is verified.
func (m *Machine) Owns(b []byte) bool {
	h, err := message.ParseHeader(b)
	return err == nil && m.sas.owner(h) != nil
}

// checkEstablished reads what the last IKE_AUTH response says of the IKE_SA and
// its CHILD_SA, once both sides are authenticated.
func (m *Machine) checkEstablished() {
	msg := m.auth.established
	if msg == nil || m.state != stateEstablished {
		return
	}
	m.auth.established = nil
	sa := m.sas.current
	m.readIKEParameters(msg)
	if !m.redirect.fromAuth(msg) {
		m.children.firstAnswer(sa, msg, m.init.ni, m.init.nr)
	}
	clear(sa.keys.Pi)
	clear(sa.keys.Pr)
	m.init.request, m.init.response = nil, nil
}

// readIKEParameters reads what the last IKE_AUTH response says of the IKE_SA
// itself, and starts its timers.
func (m *Machine) readIKEParameters(msg *message.Message) {
	m.mobility.enabled = !m.cfg.NoMOBIKE && m.path.natt && msg.Notify(message.MOBIKESupported) != nil
	if m.mobility.enabled {
		m.ike.Info("peer supports MOBIKE")
		m.mobility.readAddresses(msg)
	}
	m.life.scheduleIKE()
	m.life.scheduleReauth()
	m.life.readAuthLifetime(msg)
}
