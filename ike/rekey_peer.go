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
	// deleted says that the peer has deleted it: because it lost the collision, or
	// because it won and with it the peer deletes all. The answer to our rekeying tells.
	deleted bool
}

// peerRekeys answers the peer's CREATE_CHILD_SA for a new IKE_SA.
func (set *saSet) peerRekeys(sa *ikeSA, msg *message.Message, offer *message.SA) {
	refuse := func(n *message.Notify) {
		log.Infof(set.ike, "refusing to rekey IKE_SA %s: %s", sa.name(), n.NotifyType)
		sa.respond(msg.Header, n)
	}
	busy := sa.pending != nil && (sa.pending.what == doChild || sa.pending.what == doDeleteChild ||
		sa.pending.exchange == message.IKEFollowupKE)
	if busy || set.peer != nil && !set.peer.deleted {
		refuse(&message.Notify{NotifyType: message.TemporaryFailure})
		return
	}
	ke, ok1 := message.First[*message.KE](msg.Payloads)
	nonce, ok2 := nonceOf(msg)
	if !ok1 || !ok2 {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	// The algorithms in use are preferred: see start.
	configured := append([]message.Proposal{sa.suite.Proposal()}, set.proposals...)
	suite, chosen, err := crypto.Select(configured, offer)
	if err != nil {
		refuse(&message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	if suite.KE != ke.Method {
		refuse(message.NewInvalidKE(suite.KE))
		return
	}
	if len(chosen.SPI) != ikeSPISize {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	o := &ikeOffer{suite: suite, chosen: chosen, ni: nonce,
		sa: &ikeSA{core: set.core, retired: true, spii: message.SPI(binary.BigEndian.Uint64(chosen.SPI))}}
	if err := set.acceptOffer(sa, msg, o, ke); err != nil {
		log.Infof(set.ike, "%v", err)
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// ikeOffer is an IKE_SA that the peer asked for and we agreed to.
type ikeOffer struct {
	sa     *ikeSA // that is made
	suite  crypto.Suite
	chosen message.Proposal
	ni, nr []byte
	shared []byte
}

// acceptOffer answers with our values; the new IKE_SA is set up once the
// additional key exchanges are made. An error means that nothing was answered.
func (set *saSet) acceptOffer(sa *ikeSA, msg *message.Message, o *ikeOffer, ke *message.KE) (err error) {
	if o.sa.spir, err = set.newSPI(); err != nil {
		return err
	}
	if o.nr, err = set.random(nonceSize); err != nil {
		return err
	}
	var public []byte
	if public, o.shared, err = crypto.RespondKE(ke.Method, set.rand, ke.Data); err != nil {
		return fmt.Errorf("key exchange: %w", err)
	}
	finish := func(additional [][]byte) { set.finishOffer(sa, o, additional) }
	o.chosen.SPI = o.sa.spir.Bytes()
	reply := []message.Payload{&message.SA{Proposals: []message.Proposal{o.chosen}}, &message.Nonce{Data: o.nr},
		&message.KE{Method: ke.Method, Data: public}}
	left := o.suite.AdditionalKEs()
	if len(left) > 0 {
		link, err := set.follow.await(&peerFollowUp{left: left, ni: o.ni, nr: o.nr, ike: true, finish: finish})
		if err != nil {
			return err
		}
		reply = append(reply, link)
	}
	set.count++
	o.sa.num = set.count
	log.Infof(set.ike, "%s is initiating an IKE_SA", set.path.remote.Addr())
	sa.respond(msg.Header, reply...)
	if len(left) == 0 && set.state != stateDone {
		finish(nil)
	}
	return nil
}

// finishOffer derives the keys of the IKE_SA that the peer asked for, and
// adopts it: at once, or when our own rekeying, which is out, has its answer.
func (set *saSet) finishOffer(sa *ikeSA, o *ikeOffer, additional [][]byte) {
	defer clear(o.shared)
	if err := o.sa.derive(sa, o.suite, o.shared, o.ni, o.nr, additional); err != nil {
		set.fail(fmt.Errorf("derive keys: %w", err))
		return
	}
	if sa.pending != nil && sa.pending.what == doRekeyIKE {
		if set.peer != nil {
			set.peer.sa.zero()
		}
		set.peer = &peerIKE{sa: o.sa, ni: o.ni, nr: o.nr}
		return
	}
	set.rekeyed(o.sa)
}
