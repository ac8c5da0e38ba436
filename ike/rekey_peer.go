package ike

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// peerIKE is the IKE_SA that the peer's rekeying made while ours is out.
type peerIKE struct {
	sa     *ikeSA
	ni, nr []byte
}

// peerRekeysIKE answers the peer's CREATE_CHILD_SA for a new IKE_SA.
func (m *Machine) peerRekeysIKE(msg *message.Message, sa *message.SA) {
	refuse := func(n *message.Notify) {
		log.Infof(m.ike, "refusing to rekey IKE_SA %s: %s", m.name(), n.NotifyType)
		m.respond(msg.Header, n)
	}
	busy := m.pending != nil && (m.pending.what == doChild || m.pending.what == doDeleteChild ||
		m.pending.exchange == message.IKEFollowupKE)
	if busy || m.peerRekey != nil {
		refuse(&message.Notify{NotifyType: message.TemporaryFailure})
		return
	}
	ke, ok1 := message.First[*message.KE](msg.Payloads)
	nonce, ok2 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || len(nonce.Data) < minNonce || len(nonce.Data) > maxNonce {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	// What stands is preferred: see startRekeyIKE.
	configured := append([]message.Proposal{m.suite.Proposal()}, m.ikeProposals...)
	suite, chosen, err := crypto.Select(configured, sa)
	if err != nil {
		refuse(&message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	if suite.KE != ke.Method {
		refuse(message.NewInvalidKE(suite.KE))
		return
	}
	if len(chosen.SPI) != 8 {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	s := &ikeSA{spii: message.SPI(binary.BigEndian.Uint64(chosen.SPI))}
	if err := m.acceptIKE(msg, s, suite, chosen, ke, clone(nonce.Data)); err != nil {
		m.ike.Info(err.Error())
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// acceptIKE answers the peer's CREATE_CHILD_SA with our values; the new IKE_SA
// stands once the additional key exchanges are made. An error means that
// nothing was answered.
func (m *Machine) acceptIKE(msg *message.Message, s *ikeSA, suite crypto.Suite, chosen message.Proposal, ke *message.KE, ni []byte) (err error) {
	if s.spir, err = m.newSPI(); err != nil {
		return err
	}
	nr, err := m.random(nonceSize)
	if err != nil {
		return err
	}
	public, shared, err := crypto.RespondKE(ke.Method, m.rand, ke.Data)
	if err != nil {
		return fmt.Errorf("key exchange: %w", err)
	}
	finish := func(additional [][]byte) {
		defer clear(shared)
		if err := m.deriveRekeyed(s, suite, shared, ni, nr, additional); err != nil {
			m.fail(fmt.Errorf("derive keys: %w", err))
			return
		}
		m.peerRekeyedIKE(s, ni, nr)
	}
	chosen.SPI = s.spir.Bytes()
	reply := []message.Payload{&message.SA{Proposals: []message.Proposal{chosen}}, &message.Nonce{Data: nr},
		&message.KE{Method: ke.Method, Data: public}}
	left := suite.AdditionalKEs()
	if len(left) > 0 {
		link, err := m.await(&peerFollowUp{left: left, ni: ni, nr: nr, ike: true, finish: finish})
		if err != nil {
			return err
		}
		reply = append(reply, link)
	}
	m.numbers++
	s.num = m.numbers
	log.Infof(m.ike, "%s is initiating an IKE_SA", m.remote.Addr())
	m.respond(msg.Header, reply...)
	if len(left) == 0 && m.state != stateDone {
		finish(nil)
	}
	return nil
}

// peerRekeyedIKE takes the IKE_SA that the peer's rekeying made: at once, or
// when our own rekeying, which is out, has its answer.
func (m *Machine) peerRekeyedIKE(s *ikeSA, ni, nr []byte) {
	if m.pending != nil && m.pending.what == doRekeyIKE {
		m.peerRekey = &peerIKE{sa: s, ni: ni, nr: nr}
		return
	}
	m.rekeyedIKE(s)
}
