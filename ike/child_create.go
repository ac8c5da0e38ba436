package ike

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// startNew sends CREATE_CHILD_SA for a further CHILD_SA (RFC 7296 section 1.3.1).
func (set *childSet) startNew(sa *ikeSA, cfg *childConfig) {
	local, remote := set.selectors(cfg, set.addresses())
	log.Infof(set.ike, "establishing CHILD_SA %s{%d}", cfg.Name, set.count+1)
	set.start(sa, &createJob{cfg: cfg, local: local, remote: remote})
}

// startRekey sends CREATE_CHILD_SA that rekeys c (RFC 7296 section 1.3.3).
func (set *childSet) startRekey(sa *ikeSA, c *childState) {
	c.rekeying = true
	log.Infof(set.ike, "establishing CHILD_SA %s{%d}, rekeying %s", c.cfg.Name, set.count+1, c)
	set.start(sa, &createJob{cfg: c.cfg, child: c, local: c.localTS, remote: c.remoteTS})
}

func (set *childSet) start(sa *ikeSA, j *createJob) {
	set.early.spis = nil
	j.proposals = j.cfg.forCreate(sa)
	err := j.begin(set.core, j.cfg.firstKE(j.proposals))
	if err == nil {
		j.spiIn, err = set.newSPI()
	}
	if err != nil {
		set.fail(err)
		return
	}
	set.send(sa, j)
}

func (set *childSet) send(sa *ikeSA, j *createJob) {
	var ps []message.Payload
	if j.child != nil {
		ps = append(ps, &message.Notify{NotifyType: message.RekeySA, Protocol: message.ProtocolESP, SPI: espSPI(j.child.spiIn)})
	}
	ps = append(ps, crypto.SAPayload(j.proposals, espSPI(j.spiIn)), &message.Nonce{Data: j.nonce})
	if j.ke != nil {
		ps = append(ps, &message.KE{Method: j.ke.Method(), Data: j.ke.Public()})
	}
	tsi, tsr := j.local, j.remote
	if j.child == nil {
		tsi, tsr = j.cfg.Trigger.offer(tsi, tsr, false)
	}
	ps = append(ps, &message.TSi{Selectors: tsi}, &message.TSr{Selectors: tsr})
	sa.request(request{exchange: message.CreateChildSA, what: doChild, job: j, payloads: ps})
}

// answer sets up the CHILD_SA of a CREATE_CHILD_SA response.
func (set *childSet) answer(sa *ikeSA, j *createJob, msg *message.Message) {
	if j.ke != nil {
		switch again, err := j.retryKE(set.core, msg); {
		case err != nil:
			set.fail(err)
			return
		case again:
			set.send(sa, j)
			return
		}
	}
	defer j.zero()
	old := j.child
	if old != nil {
		old.rekeying = false
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(set.ike, "received %s notify error", n.NotifyType)
		set.refused(sa, j, n)
		return
	}
	set.life.busy.over()
	child, nr, err := set.build(sa, j, msg)
	if err != nil {
		log.Infof(set.ike, "failed to establish CHILD_SA %s: %v", j.cfg.Name, err)
		sa.deleteESP(j.spiIn, nil) // the peer has it
		if old == nil {
			set.notMade(sa, j.cfg, err)
		} else if old.closing { // it reached its hard lifetime meanwhile
			set.wanted, set.wantedAt = append(set.wanted, j.cfg), set.retryAt()
		} else if old.dead {
			old.restart(set)
		} else {
			old.notRekeyed(set, sa)
		}
		return
	}
	log.Infof(set.conf, "selected proposal: %s", suiteName{"ESP", child.ESP})
	deleted := set.early.take(child.SPIOut)
	made := j.install(set, sa, child, nr)
	if deleted && made != nil {
		log.Infof(set.ike, "the DELETE of CHILD_SA %s was here before it", made)
		set.peerClosed(made)
	}
}

// install takes the CHILD_SA that our exchange made; nil where it is redundant.
func (j *createJob) install(set *childSet, sa *ikeSA, child *ChildSA, nr []byte) *childState {
	old := j.child
	if old == nil || old.dead && old.successor == nil && !old.replaced {
		// New, or the peer deleted the old one while we rekeyed it.
		return j.addNew(set, sa, child)
	}
	return j.replace(set, sa, child, nr)
}

// replace lets child follow the CHILD_SA that was rekeyed, unless the peer
// rekeyed it too and wins: "the SA created with the lowest of the four nonces
// … SHOULD be closed by the endpoint that created it" (RFC 7296 section 2.8.1).
func (j *createJob) replace(set *childSet, sa *ikeSA, child *ChildSA, nr []byte) *childState {
	old := j.child
	peer := old.successor
	if peer == nil {
		peer = old.rival // the peer has deleted the old one already, or is about to
	}
	if peer != nil && bytes.Compare(lowest(j.nonce, nr), lowest(peer.ni, peer.nr)) < 0 {
		log.Infof(set.ike, "CHILD_SA rekey collision lost, deleting redundant CHILD_SA %s", j.cfg.Name)
		child.Zero()
		j.deleteRedundant(set, sa, child)
		return nil
	}
	before := old
	if peer != nil && old.dead {
		before = peer.child // which has sent since then
	}
	if peer != nil && !peer.child.dead {
		log.Infof(set.ike, "CHILD_SA rekey collision won, waiting for delete for redundant CHILD_SA %s", peer.child)
		peer.child.replaced, old.successor = true, nil
	}
	c := set.add(j.cfg, child)
	set.logUp(c, "")
	if before.dead {
		set.emit(ChildEstablished{Child: child})
		return c
	}
	set.emit(ChildRekeyed{SPIIn: before.spiIn, SPIOut: before.spiOut, Child: child})
	old.replaced = true
	set.delete(sa, old)
	return c
}

// deleteRedundant deletes a CHILD_SA that lost a collision; it was never
// installed.
func (j *createJob) deleteRedundant(set *childSet, sa *ikeSA, child *ChildSA) {
	set.count++
	c := &childState{cfg: j.cfg, num: set.count, spiIn: child.SPIIn, spiOut: child.SPIOut, localTS: child.LocalTS, remoteTS: child.RemoteTS, replaced: true}
	set.list = append(set.list, c)
	set.delete(sa, c)
}

// refused decides what follows an error notify.
func (set *childSet) refused(sa *ikeSA, j *createJob, n *message.Notify) {
	old := j.child
	if old != nil && (old.dead || old.successor != nil) {
		// The peer deleted or rekeyed it: that is what counts.
		if old.dead {
			old.restart(set)
		}
		return
	}
	if n.NotifyType == message.TemporaryFailure {
		set.life.busy.refused(sa)
	} else {
		set.life.busy.over()
	}
	if old != nil && old.closing && n.NotifyType != message.NoAdditionalSAs { // it reached its hard lifetime meanwhile
		set.wanted, set.wantedAt = append(set.wanted, j.cfg), set.retryAt()
		return
	}
	switch {
	case n.NotifyType == message.TemporaryFailure && old != nil:
		set.ike.Info("peer seems to be busy, trying again")
		old.rekeyAt = set.retryAt()
	case n.NotifyType == message.TemporaryFailure:
		set.wanted = append(set.wanted, j.cfg)
		set.wantedAt = set.retryAt()
	case n.NotifyType == message.ChildSANotFound && old != nil:
		// "the CHILD_SA … no longer exists" (RFC 7296 section 2.25): make a new one.
		j.cfg.renew(set)
		set.retire(old)
	case n.NotifyType == message.NoAdditionalSAs:
		set.life.reauth(sa, "the gateway makes no further CHILD_SA on it")
		if old == nil && j.cfg.renewing {
			set.notMade(sa, j.cfg, j.refused(n.NotifyType))
		}
	case old != nil:
		log.Infof(set.ike, "CHILD_SA rekeying of %s failed, trying again: %v", old, j.refused(n.NotifyType))
		old.notRekeyed(set, sa)
	default:
		set.notMade(sa, j.cfg, j.refused(n.NotifyType))
	}
}

// build makes the CHILD_SA of our exchange, and returns the peer's nonce.
func (set *childSet) build(sa *ikeSA, j *createJob, msg *message.Message) (*ChildSA, []byte, error) {
	_, ok := message.First[*message.SA](msg.Payloads)
	nonce, ok2 := nonceOf(msg)
	if !ok || !ok2 {
		return nil, nil, fmt.Errorf("%w: CREATE_CHILD_SA response without SA or nonce", ErrProtocol)
	}
	g, err := j.accept(msg, j.local, j.remote)
	if err != nil {
		return nil, nil, err
	}
	var shared []byte
	if g.esp.KE != message.KENone {
		ke, ok := message.First[*message.KE](msg.Payloads)
		if !ok || j.ke == nil || ke.Method != g.esp.KE || j.ke.Method() != g.esp.KE {
			return nil, nil, fmt.Errorf("%w: key exchange value of the CHILD_SA does not fit %s", ErrProtocol, g.esp.KE)
		}
		if shared, err = j.ke.Shared(ke.Data); err != nil {
			return nil, nil, fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
		}
		defer clear(shared)
	}
	keys, err := crypto.DeriveChild(sa.prf, sa.keys.D, g.esp, shared, j.nonce, nonce, j.more.secrets...)
	if err != nil {
		return nil, nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	j.cfg.ke = g.esp.KE
	return set.childSA(g, keys), nonce, nil
}
