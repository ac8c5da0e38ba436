package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	// lingerOld is how long a rekeyed IKE_SA waits for the peer's DELETE.
	lingerOld = 3 * time.Minute
	// maxOldSAs caps them: a peer that rekeys without deleting loses the oldest.
	maxOldSAs = 4
)

// saSet is the IKE_SAs of a Machine: the current one, and through rekeying
// others that wait for their DELETE.
type saSet struct {
	*core
	life   *lifetimes
	follow *followUps
	mobile *mobility

	proposals []message.Proposal
	current   *ikeSA
	old       []*ikeSA
	peer      *peerIKE // the peer rekeyed the IKE_SA while our rekeying is out
	count     int      // IKE_SAs so far, for the log
}

// owner returns the IKE_SA that a message belongs to, nil = none.
func (set *saSet) owner(h message.Header) *ikeSA {
	if set.current.owns(h) {
		return set.current
	}
	for _, s := range set.old {
		if s.owns(h) {
			return s
		}
	}
	if set.peer != nil && set.peer.sa.owns(h) {
		return set.peer.sa
	}
	return nil
}

// adopt makes s the current IKE_SA; the old one waits for its DELETE. What
// waited for the window of the old one waits for that of s.
func (set *saSet) adopt(s *ikeSA) {
	before := set.current
	set.follow.drop()
	s.queue, before.queue = before.queue, nil
	if before.pending != nil && before.pending.what == doUpdate {
		set.mobile.update = true // its answer may never come
	}
	set.old = slices.DeleteFunc(set.old, func(o *ikeSA) bool { return o == s })
	set.retire(before)
	if len(set.old) > maxOldSAs {
		set.old[0].zero()
		set.old = slices.Clone(set.old[1:])
	}
	set.current, s.retired = s, false
	set.life.scheduleIKE()
}

// retire keeps an IKE_SA that is not the current one until its DELETE.
func (set *saSet) retire(s *ikeSA) {
	s.retired, s.dropAt = true, set.now.Add(lingerOld)
	set.old = append(set.old, s)
}

// forget drops an IKE_SA that is not the current one.
func (set *saSet) forget(s *ikeSA) {
	s.zero()
	set.old = slices.DeleteFunc(set.old, func(o *ikeSA) bool { return o == s })
	if set.peer != nil && set.peer.sa == s {
		set.peer = nil
	}
}

// zero forgets the keys of every IKE_SA.
func (set *saSet) zero() {
	set.current.zero()
	for _, s := range set.old {
		s.zero()
	}
	if set.peer != nil {
		set.peer.sa.zero()
	}
	set.old, set.peer = nil, nil
}

// start sends CREATE_CHILD_SA for a new IKE_SA (RFC 7296 section 1.3.2), with
// the algorithms of the current one: the peer has accepted them once, and with
// the PRF unchanged RFC 7296 section 2.18 and strongSwan derive the same keys.
func (set *saSet) start() {
	sa := set.current
	j := &createJob{proposals: []message.Proposal{sa.suite.Proposal()}}
	err := j.begin(set.core, sa.suite.KE)
	if err == nil {
		j.spi, err = set.newSPI()
	}
	if err != nil {
		set.fail(err)
		return
	}
	set.count++
	log.Infof(set.ike, "initiating IKE_SA %s[%d] to %s", set.cfg.Name, set.count, set.path.remote.Addr())
	set.send(sa, j)
}

func (set *saSet) send(sa *ikeSA, j *createJob) {
	sa.request(request{exchange: message.CreateChildSA, what: doRekeyIKE, job: j, payloads: []message.Payload{
		crypto.SAPayload(j.proposals, j.spi.Bytes()),
		&message.Nonce{Data: j.nonce},
		&message.KE{Method: j.ke.Method(), Data: j.ke.Public()},
	}})
}

// answer sets up the new IKE_SA of the response, and decides who wins where
// both sides rekeyed. While our DELETE waits it does so too: the peer has the new
// IKE_SA and the CHILD_SAs are part of it, so that the DELETE has to go over it.
func (set *saSet) answer(sa *ikeSA, j *createJob, msg *message.Message) {
	if set.peer == nil && set.state == stateEstablished {
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
	peer := set.peer
	set.peer = nil
	made, nr, err := set.build(sa, j, msg)
	lost := peer != nil && (err != nil || bytes.Compare(lowest(j.nonce, nr), lowest(peer.ni, peer.nr)) < 0)
	switch {
	case lost && peer.deleted:
		// What the peer deleted had taken the place of this IKE_SA.
		if made != nil {
			set.retire(made)
			set.delete(made)
		}
		peer.sa.zero()
		set.finish(Closed{ByPeer: set.state != stateDeleting})
	case err != nil && peer != nil:
		// The peer noticed the collision first; what it made counts.
		log.Infof(set.ike, "our rekeying of IKE_SA failed (%v), the peer's stands", err)
		set.rekeyed(peer.sa)
	case err != nil:
		log.Infof(set.ike, "rekeying IKE_SA %s failed: %v", sa.name(), err)
		if set.state != stateEstablished {
			return
		}
		if n := msg.ErrorNotify(); n != nil && n.NotifyType == message.TemporaryFailure {
			set.life.rekeyAt = set.retryAt()
			set.ike.Info("peer seems to be busy, trying again")
			set.life.busy.refused(sa)
			return
		}
		set.life.reauth(sa, "the gateway refused to rekey it")
	case lost:
		// "the SA created with the lowest of the four nonces … SHOULD be closed
		// by the endpoint that created it"
		set.ike.Info("IKE_SA rekey collision lost, deleting redundant IKE_SA")
		set.rekeyed(peer.sa)
		set.retire(made)
		set.delete(made)
	default:
		switch {
		case peer == nil:
		case peer.deleted:
			set.ike.Info("IKE_SA rekey collision won, the redundant IKE_SA is deleted")
			peer.sa.zero()
		default:
			set.ike.Info("IKE_SA rekey collision won, waiting for delete for redundant IKE_SA")
			set.retire(peer.sa)
		}
		set.rekeyed(made)
		log.Infof(set.ike, "deleting IKE_SA %s[%d]", set.cfg.Name, sa.num)
		set.delete(sa)
	}
}

// delete sends DELETE for an IKE_SA over itself.
func (set *saSet) delete(s *ikeSA) {
	log.Infof(set.ike, "sending DELETE for IKE_SA %s", s.name())
	s.deleteIKE()
}

// rekeyed adopts the IKE_SA that a rekeying made.
func (set *saSet) rekeyed(s *ikeSA) {
	set.adopt(s)
	log.Infof(set.ike, "IKE_SA %s rekeyed between %s", s.name(), set.ends())
	set.emit(Rekeyed{SPIi: uint64(s.spii), SPIr: uint64(s.spir), Suite: suiteName{"IKE", s.suite}.String()})
}

// build makes the IKE_SA of our exchange, and returns the peer's nonce.
func (set *saSet) build(old *ikeSA, j *createJob, msg *message.Message) (*ikeSA, []byte, error) {
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(set.ike, "received %s notify error", n.NotifyType)
		return nil, nil, fmt.Errorf("%w: %s", ErrRefused, n.NotifyType)
	}
	sa, ok1 := message.First[*message.SA](msg.Payloads)
	ke, ok2 := message.First[*message.KE](msg.Payloads)
	nonce, ok3 := nonceOf(msg)
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, fmt.Errorf("%w: CREATE_CHILD_SA response without SA, KE or nonce", ErrProtocol)
	}
	suite, chosen, err := crypto.CheckChosen(j.proposals, sa)
	if err == nil {
		err = j.complete(suite)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if suite.KE != j.ke.Method() || ke.Method != suite.KE || len(chosen.SPI) != ikeSPISize {
		return nil, nil, fmt.Errorf("%w: key exchange method or SPI of the new IKE_SA do not fit", ErrProtocol)
	}
	shared, err := j.ke.Shared(ke.Data)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
	}
	defer clear(shared)
	s := &ikeSA{core: set.core, num: set.count, initiator: true, spii: j.spi, spir: message.SPI(binary.BigEndian.Uint64(chosen.SPI))}
	if err := s.derive(old, suite, shared, j.nonce, nonce, j.more.secrets); err != nil {
		return nil, nil, err
	}
	return s, nonce, nil
}

// ikeSPISize is the size of an IKE_SA's SPI in octets.
const ikeSPISize = 8

// derive makes the keys of an IKE_SA that rekeys old (RFC 7296 section 2.18).
func (s *ikeSA) derive(old *ikeSA, suite crypto.Suite, shared, ni, nr []byte, additional [][]byte) error {
	if s.spii == 0 || s.spir == 0 {
		return fmt.Errorf("%w: SPI 0", ErrProtocol)
	}
	var err error
	s.suite = suite
	if s.prf, err = crypto.NewPRF(suite.PRF.ID); err != nil {
		return err
	}
	if s.keys, err = crypto.DeriveIKERekey(suite, old.prf, old.keys.D, shared, ni, nr, s.spii, s.spir, additional...); err != nil {
		return err
	}
	if s.prot, err = crypto.NewProtector(suite, s.keys, s.initiator, s.rand); err != nil {
		s.zero()
		return err
	}
	s.reqAsm = crypto.Reassembler{MaxOctets: s.cfg.Fragmentation.MaxPacket}
	return nil
}
