package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// startChild sends CREATE_CHILD_SA for a further CHILD_SA (RFC 7296 §1.3.1).
func (m *Machine) startChild(cfg *childConfig) {
	local, remote := m.selectorsOf(cfg)
	log.Infof(m.ike, "establishing CHILD_SA %s{%d}", cfg.Name, m.childNum+1)
	m.startJob(&rekeyJob{cfg: cfg, local: local, remote: remote})
}

// startRekeyChild sends CREATE_CHILD_SA for a CHILD_SA in place of c (RFC 7296
// §1.3.3).
func (m *Machine) startRekeyChild(c *childState) {
	c.rekeying = true
	log.Infof(m.ike, "establishing CHILD_SA %s{%d}, rekeying %s", c.cfg.Name, m.childNum+1, c)
	m.startJob(&rekeyJob{cfg: c.cfg, child: c, local: c.localTS, remote: c.remoteTS})
}

func (m *Machine) startJob(j *rekeyJob) {
	j.proposals = j.cfg.proposals
	err := m.setKE(j, crypto.PreferredKE(j.proposals))
	if err == nil {
		j.nonce, err = m.random(nonceSize)
	}
	if err == nil {
		j.spiIn, err = m.newChildSPI()
	}
	if err != nil {
		m.fail(err)
		return
	}
	m.sendJob(j)
}

func (m *Machine) sendJob(j *rekeyJob) {
	var ps []message.Payload
	if j.child != nil {
		ps = append(ps, &message.Notify{NotifyType: message.RekeySA, Protocol: message.ProtocolESP,
			SPI: binary.BigEndian.AppendUint32(nil, j.child.spiIn)})
	}
	ps = append(ps, crypto.SAPayload(j.proposals, binary.BigEndian.AppendUint32(nil, j.spiIn)), &message.Nonce{Data: j.nonce})
	if j.ke != nil {
		ps = append(ps, &message.KE{Method: j.ke.Method(), Data: j.ke.Public()})
	}
	ps = append(ps, &message.TSi{Selectors: j.local}, &message.TSr{Selectors: j.remote})
	m.request(request{exchange: message.CreateChildSA, what: doChild, job: j, payloads: ps})
}

// jobAnswer hands a response in the established IKE_SA to what it is for.
func (m *Machine) jobAnswer(x *exchange, msg *message.Message) {
	switch x.what {
	case doDelete:
		if m.aside {
			m.ike.Info("IKE_SA deleted")
			m.forget(m.ikeSA)
			return
		}
		m.ike.Info("IKE_SA deleted")
		m.finish(Closed{})
	case doRekeyIKE:
		if m.aside || m.state != stateEstablished {
			x.job.zero()
			return
		}
		if msg := m.collect(x, msg); msg != nil {
			m.rekeyIKEAnswer(x.job, msg)
		}
	case doChild:
		if m.state != stateEstablished {
			x.job.zero()
			return
		}
		if msg := m.collect(x, msg); msg != nil {
			m.childJobAnswer(x.job, msg)
		}
	case doDeleteChild:
		c := x.child
		m.ike.Info("CHILD_SA closed")
		c.deleting = false
		m.bury(c)
	case doUpdate:
		m.updateAnswer(msg)
	case doDPD:
		m.dpdAnswer(msg)
	}
}

// childJobAnswer takes the CHILD_SA out of a CREATE_CHILD_SA response.
func (m *Machine) childJobAnswer(j *rekeyJob, msg *message.Message) {
	old := j.child
	if n := msg.Notify(message.InvalidKEPayload); n != nil && j.ke != nil {
		want, err := n.WantedKE()
		if err == nil && crypto.OffersKE(j.proposals, want) && !j.tried[want] {
			log.Infof(m.ike, "peer didn't accept key exchange method %s, it requested %s", j.ke.Method(), want)
			if err := m.setKE(j, want); err != nil {
				m.fail(err)
				return
			}
			m.sendJob(j)
			return
		}
	}
	defer j.zero()
	if old != nil {
		old.rekeying = false
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		m.childRefused(j, n)
		return
	}
	sa, nr, err := m.newChildSA(j, msg)
	if err != nil {
		log.Infof(m.ike, "failed to establish CHILD_SA %s: %v", j.cfg.Name, err)
		// The peer has it: it is deleted there.
		m.request(request{exchange: message.Informational, payloads: []message.Payload{
			&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, j.spiIn)}}}})
		if old == nil {
			m.emit(ChildFailed{Name: j.cfg.Name, Err: fmt.Errorf("%w: %w", ErrChild, err)})
		} else if !old.dead {
			old.rekeyAt = m.retryAt()
		}
		return
	}
	m.conf.Info("selected proposal: " + suiteName("ESP", sa.ESP))
	if old == nil || old.dead && old.peerRekey == nil && !old.replaced {
		// New, or the peer deleted the old one while we rekeyed it.
		c := m.addChild(j.cfg, sa)
		m.childUp(c, "")
		m.emit(ChildEstablished{Child: sa})
		return
	}
	peer := old.peerRekey
	if peer == nil && old.replaced {
		sa.Zero() // the peer won and has deleted the old one meanwhile
		m.ike.Info("CHILD_SA rekey collision lost, deleting redundant CHILD_SA")
		m.deleteRedundant(j.cfg, sa)
		return
	}
	if peer != nil && bytes.Compare(lowest(j.nonce, nr), lowest(peer.ni, peer.nr)) < 0 {
		log.Infof(m.ike, "CHILD_SA rekey collision lost, deleting redundant CHILD_SA %s", j.cfg.Name)
		sa.Zero()
		m.deleteRedundant(j.cfg, sa)
		return
	}
	if peer != nil {
		log.Infof(m.ike, "CHILD_SA rekey collision won, waiting for delete for redundant CHILD_SA %s", peer.child)
		peer.child.replaced, old.peerRekey = true, nil
	}
	c := m.addChild(j.cfg, sa)
	m.childUp(c, "")
	m.emit(ChildRekeyed{SPIIn: old.spiIn, SPIOut: old.spiOut, Child: sa})
	old.replaced = true
	m.deleteChildSA(old)
}

// deleteRedundant deletes a CHILD_SA that lost a collision; it was never
// installed.
func (m *Machine) deleteRedundant(cfg *childConfig, sa *ChildSA) {
	m.childNum++
	c := &childState{cfg: cfg, num: m.childNum, spiIn: sa.SPIIn, spiOut: sa.SPIOut, localTS: sa.LocalTS, remoteTS: sa.RemoteTS, replaced: true}
	m.children = append(m.children, c)
	m.deleteChildSA(c)
}

// childRefused decides what follows an error notify.
func (m *Machine) childRefused(j *rekeyJob, n *message.Notify) {
	old := j.child
	if old != nil && (old.dead || old.peerRekey != nil) {
		return // the peer deleted or rekeyed it: what it made stands
	}
	switch {
	case n.NotifyType == message.TemporaryFailure && old != nil:
		m.ike.Info("peer seems to be busy, trying again")
		old.rekeyAt = m.retryAt()
	case n.NotifyType == message.TemporaryFailure:
		m.wanted = append(m.wanted, j.cfg)
		m.wantedAt = m.retryAt()
	case n.NotifyType == message.ChildSANotFound && old != nil:
		// "the CHILD_SA … no longer exists" (RFC 7296 §2.25): make a new one.
		m.bury(old)
		m.wanted = append(m.wanted, j.cfg)
	case n.NotifyType == message.NoAdditionalSAs:
		m.reauth("the gateway makes no further CHILD_SA on it")
	case old != nil:
		log.Infof(m.ike, "CHILD_SA rekeying of %s failed, trying again: %v", old, childError(n.NotifyType, j.local, j.remote, j.proposals))
		old.rekeyAt = m.retryAt()
	default:
		m.emit(ChildFailed{Name: j.cfg.Name, Err: fmt.Errorf("%w: %w", ErrChild, childError(n.NotifyType, j.local, j.remote, j.proposals))})
	}
}

// newChildSA makes the CHILD_SA of our exchange.
func (m *Machine) newChildSA(j *rekeyJob, msg *message.Message) (*ChildSA, []byte, error) {
	sa, ok1 := message.First[*message.SA](msg.Payloads)
	nonce, ok2 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || len(nonce.Data) < minNonce || len(nonce.Data) > maxNonce {
		return nil, nil, fmt.Errorf("%w: CREATE_CHILD_SA response without SA or nonce", ErrProtocol)
	}
	esp, chosen, err := crypto.CheckChosen(j.proposals, sa)
	if err == nil {
		err = j.complete(esp)
	}
	if err != nil {
		return nil, nil, err
	}
	var shared []byte
	if esp.KE != message.KENone {
		ke, ok := message.First[*message.KE](msg.Payloads)
		if !ok || j.ke == nil || ke.Method != esp.KE || j.ke.Method() != esp.KE {
			return nil, nil, fmt.Errorf("%w: key exchange value of the CHILD_SA does not fit %s", ErrProtocol, esp.KE)
		}
		if shared, err = j.ke.Shared(ke.Data); err != nil {
			return nil, nil, fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
		}
		defer clear(shared)
	}
	tsi, ok1 := message.First[*message.TSi](msg.Payloads)
	tsr, ok2 := message.First[*message.TSr](msg.Payloads)
	if !ok1 || !ok2 {
		return nil, nil, fmt.Errorf("%w: CHILD_SA without traffic selectors", ErrProtocol)
	}
	if msg.Notify(message.UseTransportMode) != nil {
		return nil, nil, fmt.Errorf("%w: transport mode was not asked for", ErrProtocol)
	}
	local, remote := narrow(tsi.Selectors, j.local), narrow(tsr.Selectors, j.remote)
	if len(local) == 0 || len(remote) == 0 {
		return nil, nil, fmt.Errorf("the gateway's traffic selectors %s === %s lie outside of ours, %s === %s",
			selectors(tsi.Selectors), selectors(tsr.Selectors), selectors(j.local), selectors(j.remote))
	}
	if len(chosen.SPI) != 4 || binary.BigEndian.Uint32(chosen.SPI) < 256 {
		return nil, nil, fmt.Errorf("%w: bad SPI of the CHILD_SA", ErrProtocol)
	}
	keys, err := crypto.DeriveChild(m.prf, m.keys.D, esp, shared, j.nonce, nonce.Data, j.more.secrets...)
	if err != nil {
		return nil, nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	return m.childSA(j.cfg, j.spiIn, chosen.SPI, esp, keys, local, remote), clone(nonce.Data), nil
}

func (m *Machine) childSA(cfg *childConfig, spiIn uint32, spiOut []byte, esp crypto.Suite, keys *crypto.ChildKeys, local, remote []TrafficSelector) *ChildSA {
	return &ChildSA{
		Name: cfg.Name, SPIIn: spiIn, SPIOut: binary.BigEndian.Uint32(spiOut), ESP: esp, Keys: keys,
		LocalTS: local, RemoteTS: remote, Internal: m.assigned, Encap: m.encap(), Local: m.local, Remote: m.remote,
	}
}
