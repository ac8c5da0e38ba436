package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of nonces, RFC 7296 §3.9.
const (
	minNonce = 16
	maxNonce = 256
)

// rekeyJob is a CREATE_CHILD_SA exchange of ours: for a new IKE_SA, or for a
// new or rekeyed CHILD_SA.
type rekeyJob struct {
	proposals []message.Proposal
	nonce     []byte
	ke        crypto.KeyExchange // nil = none
	tried     map[message.KEMethod]bool

	more followUp

	spi message.SPI // of the new IKE_SA

	cfg           *childConfig
	child         *childState // that is rekeyed; nil = a new one
	spiIn         uint32
	local, remote []TrafficSelector
}

func (j *rekeyJob) zero() {
	j.more.zero()
	if j.ke != nil {
		j.ke.Zero()
		j.ke = nil
	}
}

// setKE makes a fresh key exchange value; KENone = none.
func (m *Machine) setKE(j *rekeyJob, method message.KEMethod) error {
	j.zero()
	if method == message.KENone {
		return nil
	}
	ke, err := crypto.NewKeyExchange(method, m.rand)
	if err != nil {
		return fmt.Errorf("make key exchange value: %w", err)
	}
	j.ke = ke
	if j.tried == nil {
		j.tried = map[message.KEMethod]bool{}
	}
	j.tried[method] = true
	return nil
}

// lowest returns the smaller of two nonces, compared octet by octet (RFC 7296
// §2.8.1).
func lowest(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

func (m *Machine) newSPI() (message.SPI, error) {
	for {
		b, err := m.random(8)
		if err != nil {
			return 0, err
		}
		if spi := message.SPI(binary.BigEndian.Uint64(b)); spi != 0 {
			return spi, nil
		}
	}
}

// startRekeyIKE sends CREATE_CHILD_SA for a new IKE_SA (RFC 7296 §1.3.2), with
// the algorithms of the one that stands: the peer has accepted them once, and
// with the PRF unchanged RFC 7296 §2.18 and strongSwan derive the same keys.
func (m *Machine) startRekeyIKE() {
	j := &rekeyJob{proposals: []message.Proposal{m.suite.Proposal()}}
	err := m.setKE(j, m.suite.KE)
	if err == nil {
		j.nonce, err = m.random(nonceSize)
	}
	if err == nil {
		j.spi, err = m.newSPI()
	}
	if err != nil {
		m.fail(err)
		return
	}
	m.numbers++
	log.Infof(m.ike, "initiating IKE_SA %s[%d] to %s", m.cfg.Name, m.numbers, m.remote.Addr())
	m.sendRekeyIKE(j)
}

func (m *Machine) sendRekeyIKE(j *rekeyJob) {
	m.request(request{exchange: message.CreateChildSA, what: doRekeyIKE, job: j, payloads: []message.Payload{
		crypto.SAPayload(j.proposals, j.spi.Bytes()),
		&message.Nonce{Data: j.nonce},
		&message.KE{Method: j.ke.Method(), Data: j.ke.Public()},
	}})
}

// retryAt is when a rekeying that failed is tried again.
func (m *Machine) retryAt() time.Time { return m.now.Add(rekeyRetry - m.jitter(rekeyRetryJitter)) }

// rekeyIKEAnswer takes the new IKE_SA out of the response, and settles who wins
// where both sides rekeyed.
func (m *Machine) rekeyIKEAnswer(j *rekeyJob, msg *message.Message) {
	if n := msg.Notify(message.InvalidKEPayload); n != nil && m.peerRekey == nil {
		want, err := n.WantedKE()
		if err == nil && crypto.OffersKE(j.proposals, want) && !j.tried[want] {
			log.Infof(m.ike, "peer didn't accept key exchange method %s, it requested %s", j.ke.Method(), want)
			if err := m.setKE(j, want); err != nil {
				m.fail(err)
				return
			}
			m.sendRekeyIKE(j)
			return
		}
	}
	defer j.zero()
	peer := m.peerRekey
	m.peerRekey = nil
	var ours *ikeSA
	var nr []byte
	err := m.notifyOf(msg)
	if err == nil {
		ours, nr, err = m.newIKE(j, msg)
	}
	switch {
	case err != nil && peer != nil:
		// The peer noticed the collision first; what it made stands.
		log.Infof(m.ike, "our rekeying of IKE_SA failed (%v), the peer's stands", err)
		m.rekeyedIKE(peer.sa)
	case err != nil:
		log.Infof(m.ike, "rekeying IKE_SA %s failed: %v", m.name(), err)
		if n := msg.ErrorNotify(); n != nil && n.NotifyType == message.TemporaryFailure {
			m.life.rekeyAt = m.retryAt()
			m.ike.Info("peer seems to be busy, trying again")
			return
		}
		m.reauth("the gateway refused to rekey it")
	case peer != nil && bytes.Compare(lowest(j.nonce, nr), lowest(peer.ni, peer.nr)) < 0:
		// "the SA created with the lowest of the four nonces … SHOULD be closed
		// by the endpoint that created it"
		m.ike.Info("IKE_SA rekey collision lost, deleting redundant IKE_SA")
		m.rekeyedIKE(peer.sa)
		ours.dropAt = m.now.Add(lingerOld)
		m.old = append(m.old, ours)
		m.sendDelete(ours)
	default:
		if peer != nil {
			m.ike.Info("IKE_SA rekey collision won, waiting for delete for redundant IKE_SA")
			peer.sa.dropAt = m.now.Add(lingerOld)
			m.old = append(m.old, peer.sa)
		}
		before := m.ikeSA
		m.rekeyedIKE(ours)
		log.Infof(m.ike, "deleting IKE_SA %s[%d]", m.cfg.Name, before.num)
		m.sendDelete(before)
	}
}

func (m *Machine) sendDelete(s *ikeSA) {
	m.on(s, func() {
		m.ike.Info("sending DELETE for IKE_SA " + m.name())
		m.request(request{exchange: message.Informational, what: doDelete,
			payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}})
	})
}

func (m *Machine) rekeyedIKE(s *ikeSA) {
	m.adopt(s)
	log.Infof(m.ike, "IKE_SA %s rekeyed between %s", m.name(), m.ends())
	m.emit(Rekeyed{SPIi: uint64(m.spii), SPIr: uint64(m.spir), Suite: suiteName("IKE", m.suite)})
}

// notifyOf returns the error notify of a response as an error.
func (m *Machine) notifyOf(msg *message.Message) error {
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		return fmt.Errorf("%w: %s", ErrRefused, n.NotifyType)
	}
	return nil
}

// newIKE makes the IKE_SA of our exchange.
func (m *Machine) newIKE(j *rekeyJob, msg *message.Message) (*ikeSA, []byte, error) {
	sa, ok1 := message.First[*message.SA](msg.Payloads)
	ke, ok2 := message.First[*message.KE](msg.Payloads)
	nonce, ok3 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 || len(nonce.Data) < minNonce || len(nonce.Data) > maxNonce {
		return nil, nil, fmt.Errorf("%w: CREATE_CHILD_SA response without SA, KE or nonce", ErrProtocol)
	}
	suite, chosen, err := crypto.CheckChosen(j.proposals, sa)
	if err == nil {
		err = j.complete(suite)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if suite.KE != j.ke.Method() || ke.Method != suite.KE || len(chosen.SPI) != 8 {
		return nil, nil, fmt.Errorf("%w: key exchange method or SPI of the new IKE_SA do not fit", ErrProtocol)
	}
	shared, err := j.ke.Shared(ke.Data)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
	}
	defer clear(shared)
	s := &ikeSA{num: m.numbers, initiator: true, spii: j.spi, spir: message.SPI(binary.BigEndian.Uint64(chosen.SPI))}
	if err := m.deriveRekeyed(s, suite, shared, j.nonce, nonce.Data, j.more.secrets); err != nil {
		return nil, nil, err
	}
	return s, clone(nonce.Data), nil
}

// deriveRekeyed fills the keys of an IKE_SA that replaces the current one in.
func (m *Machine) deriveRekeyed(s *ikeSA, suite crypto.Suite, shared, ni, nr []byte, additional [][]byte) error {
	if s.spii == 0 || s.spir == 0 {
		return fmt.Errorf("%w: SPI 0", ErrProtocol)
	}
	var err error
	s.suite = suite
	if s.prf, err = crypto.NewPRF(suite.PRF.ID); err != nil {
		return err
	}
	if s.keys, err = crypto.DeriveIKERekey(suite, m.prf, m.keys.D, shared, ni, nr, s.spii, s.spir, additional...); err != nil {
		return err
	}
	if s.prot, err = crypto.NewProtector(suite, s.keys, s.initiator, m.rand); err != nil {
		s.zero()
		return err
	}
	s.reqAsm = crypto.Reassembler{MaxOctets: m.cfg.MaxPacket}
	return nil
}
