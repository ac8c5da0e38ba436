package ike

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// ikeSA is one IKE_SA: SPIs, keys, message IDs, and the request that is out. A
// Machine has one that is current, and through rekeying others that wait for
// their DELETE.
type ikeSA struct {
	*core

	num        int  // in the log: home[num]
	initiator  bool // we made it: header flag, and whose keys are whose
	retired    bool // another one has replaced it, or is about to
	spii, spir message.SPI
	suite      crypto.Suite
	prf        crypto.PRF
	keys       *crypto.IKEKeys
	prot       *crypto.Protector

	nextID   uint32    // of our next request
	pending  *exchange // the one request that is out (window 1)
	queue    []request // what waits for it
	peerNext uint32    // ID of the peer's next request
	peerResp [][]byte  // our response to the peer's last request
	reqAsm   crypto.Reassembler

	// dropAt is when an IKE_SA that was rekeyed is forgotten although its
	// DELETE never came.
	dropAt time.Time
}

// name is what the log calls it: "home[1]".
func (s *ikeSA) name() string { return fmt.Sprintf("%s[%d]", s.cfg.Name, s.num) }

// flag is the header flag of whoever made the IKE_SA (RFC 7296 section 3.1):
// after the peer rekeyed it that is the peer.
func (s *ikeSA) flag() message.Flags {
	if s.initiator {
		return message.FlagInitiator
	}
	return 0
}

// owns reports whether a message belongs to the IKE_SA.
func (s *ikeSA) owns(h message.Header) bool {
	return s.spii == h.SPIi && h.FromInitiator() != s.initiator && (s.initiator || s.spir == h.SPIr)
}

// zero forgets the keys and what is out.
func (s *ikeSA) zero() {
	if s.pending != nil && s.pending.job != nil {
		s.pending.job.zero()
	}
	if s.keys != nil {
		s.keys.Zero()
		s.keys = nil
	}
	if s.prot != nil {
		s.prot.Zero()
		s.prot = nil
	}
	s.pending, s.peerResp, s.queue = nil, nil, nil
}

// request sends r, or queues it where another request is out: the window is 1
// (RFC 7296 section 2.3).
func (s *ikeSA) request(r request) {
	if s.pending != nil {
		s.queue = append(s.queue, r)
		return
	}
	h := message.Header{SPIi: s.spii, SPIr: s.spir, Exchange: r.exchange, Flags: s.flag(), MessageID: s.nextID}
	packets, err := s.seal(h, r.payloads)
	if err != nil {
		s.fail(fmt.Errorf("encode %s: %w", h, err))
		return
	}
	s.nextID++
	s.send(r, h.MessageID, packets)
}

// send transmits a request that is encoded already.
func (s *ikeSA) send(r request, id uint32, packets [][]byte) {
	s.pending = &exchange{request: r, id: id, packets: packets, asm: crypto.Reassembler{MaxOctets: s.cfg.Fragmentation.MaxPacket}}
	if r.exchange == message.IKEIntermediate {
		s.pending.asm.Inner = &crypto.Inner{}
	}
	s.restart()
}

// restart transmits the request that is out, with a fresh schedule.
func (s *ikeSA) restart() {
	s.pending.sent = 1
	s.pending.due = s.now.Add(s.wait(0))
	s.transmit(s.pending.packets)
}

// repeat retransmits the request that is out.
func (s *ikeSA) repeat() {
	x := s.pending
	log.Infof(s.ike, "retransmit %d of request with message ID %d", x.sent, x.id)
	x.due = s.now.Add(s.wait(x.sent))
	x.sent++
	s.transmit(x.packets)
}

// exhausted reports whether the request that is out was retransmitted as often
// as configured.
func (s *ikeSA) exhausted() bool { return s.pending.sent > s.cfg.Retransmission.Tries }

// flush sends what waits, as far as the window allows.
func (s *ikeSA) flush() {
	for s.pending == nil && len(s.queue) > 0 && s.state != stateDone {
		r := s.queue[0]
		s.queue = s.queue[1:]
		s.request(r)
	}
}

// deleteIKE sends DELETE for the IKE_SA itself.
func (s *ikeSA) deleteIKE() {
	s.request(request{exchange: message.Informational, what: doDelete,
		payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}})
}

// abandon sends DELETE for the IKE_SA at once, instead of all that is out or
// waits. Nothing waits for the answer.
func (s *ikeSA) abandon() {
	if s.pending != nil && s.pending.job != nil {
		s.pending.job.zero()
	}
	s.pending, s.queue = nil, nil
	s.deleteIKE()
}

// deleteESP sends DELETE for the CHILD_SA with that inbound SPI; c is nil where
// it was never registered.
func (s *ikeSA) deleteESP(spiIn uint32, c *childState) {
	r := request{exchange: message.Informational, payloads: []message.Payload{
		&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{espSPI(spiIn)}}}}
	if c != nil {
		r.what, r.child = doDeleteChild, c
	}
	s.request(r)
}

// reject notifies the gateway that we refuse its authentication, or ended ours,
// then ends the IKE_SA (RFC 7296 section 2.21.2). Nothing waits for the answer.
func (s *ikeSA) reject(err error) {
	if s.prot != nil {
		s.pending = nil
		s.request(request{exchange: message.Informational,
			payloads: []message.Payload{&message.Notify{NotifyType: message.AuthenticationFailed}}})
	}
	s.fail(err)
}

// seal protects a message, in fragments where that was agreed on and it is
// larger than one.
func (s *ikeSA) seal(h message.Header, ps []message.Payload) ([][]byte, error) {
	log.Infof(s.enc, "generating %s", summary{&message.Message{Header: h, Payloads: ps}})
	if !s.fragments {
		b, err := s.prot.Seal(h, ps)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
	bs, err := s.prot.SealFragments(h, ps, s.cfg.Fragmentation.Size, s.path.remote.Addr().Is6())
	if err == nil && len(bs) > 1 {
		log.Infof(s.enc, "splitting IKE message into %d fragments", len(bs))
	}
	return bs, err
}

// respond answers the peer's request, and keeps the response for
// retransmissions.
func (s *ikeSA) respond(h message.Header, ps ...message.Payload) {
	r := message.Header{SPIi: s.spii, SPIr: s.spir, Exchange: h.Exchange, MessageID: h.MessageID,
		Flags: s.flag() | message.FlagResponse}
	packets, err := s.seal(r, ps)
	if err != nil {
		s.fail(fmt.Errorf("encode %s: %w", r, err))
		return
	}
	s.peerNext++
	s.peerResp = packets
	s.reqAsm = crypto.Reassembler{MaxOctets: s.cfg.Fragmentation.MaxPacket}
	s.transmit(packets)
}

// openResponse opens a response to the request that is out; nil where it is
// not usable, or fragments are missing.
func (s *ikeSA) openResponse(h message.Header, data []byte) *message.Message {
	if h.SPIr != s.spir {
		s.drop("not for this IKE_SA")
		return nil
	}
	msg, err := s.pending.asm.Handle(s.prot, data)
	var content *crypto.ContentError
	switch {
	case errors.As(err, &content):
		// The peer holds the keys and yet sends what cannot be read.
		s.fail(fmt.Errorf("%w: %s: %w", ErrProtocol, h, err))
	case errors.Is(err, crypto.ErrTooLarge):
		s.fail(fmt.Errorf("receive %s: %w", h, err))
	case err != nil:
		s.drop(err.Error())
	case msg != nil: // else fragments are missing
		log.Infof(s.enc, "parsed %s", summary{msg})
		return msg
	}
	return nil
}

// openRequest opens the peer's next request; nil where there is nothing to
// answer. A repeated one gets the same response again.
func (s *ikeSA) openRequest(h message.Header, d Datagram) *message.Message {
	switch {
	case h.MessageID == s.peerNext:
	case h.MessageID+1 == s.peerNext && s.peerResp != nil:
		if s.isRepeat(d.Data) {
			log.Infof(s.ike, "received retransmit of request with ID %d, retransmitting response", h.MessageID)
			s.answerTo(d.From)
		}
		return nil
	default:
		log.Infof(s.net, "received message ID %d, expected %d, ignored", h.MessageID, s.peerNext)
		return nil
	}
	msg, err := s.reqAsm.Handle(s.prot, d.Data)
	var content *crypto.ContentError
	switch {
	case errors.As(err, &content):
		log.Infof(s.ike, "%v", content)
		s.respond(h, content.Notify())
	case err != nil:
		s.drop(err.Error())
	case msg != nil: // else fragments are missing
		log.Infof(s.enc, "parsed %s", summary{msg})
		return msg
	}
	return nil
}

// answerTo repeats the last response. A gateway behind a NAT gets it where its
// repetition came from (RFC 7296 section 2.11); that alone moves nothing.
func (s *ikeSA) answerTo(from netip.AddrPort) {
	remote := s.path.remote
	if s.path.followsNAT(from) {
		s.path.remote = from
	}
	s.transmit(s.peerResp)
	s.path.remote = remote
}

// isRepeat reports whether b is an authentic message, or the first fragment of
// one: only that asks for the response again (RFC 7383 section 2.6.1).
func (s *ikeSA) isRepeat(b []byte) bool {
	msg, err := message.Parse(b)
	if err != nil || len(msg.Payloads) == 0 {
		return false
	}
	if f, ok := msg.Payloads[len(msg.Payloads)-1].(*message.SKF); ok && f.Number != 1 {
		return false
	}
	asm := crypto.Reassembler{MaxOctets: s.cfg.Fragmentation.MaxPacket}
	_, err = asm.Handle(s.prot, b)
	var content *crypto.ContentError
	return err == nil || errors.As(err, &content)
}

// espSPI encodes the SPI of a CHILD_SA.
func espSPI(spi uint32) []byte { return binary.BigEndian.AppendUint32(nil, spi) }
