package ike

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// purpose says what an exchange of the established IKE_SA is for.
type purpose uint8

const (
	doNothing     purpose = iota // IKE_AUTH, error notifies
	doDPD                        // is the peer there?
	doDelete                     // DELETE of the IKE_SA
	doRekeyIKE                   // CREATE_CHILD_SA for a new IKE_SA
	doChild                      // CREATE_CHILD_SA for a new or rekeyed CHILD_SA
	doDeleteChild                // DELETE of a CHILD_SA
	doUpdate                     // MOBIKE UPDATE_SA_ADDRESSES
)

// request is an exchange of ours before it has a message ID.
type request struct {
	exchange message.ExchangeType
	payloads []message.Payload
	what     purpose
	job      *rekeyJob   // of doRekeyIKE and doChild
	child    *childState // of doDeleteChild
}

// exchange is a request that is out.
type exchange struct {
	request
	id      uint32
	packets [][]byte
	sent    int // transmissions
	due     time.Time
	asm     crypto.Reassembler // of the response
}

// request sends r, or queues it where another request is out: the window is 1
// (RFC 7296 §2.3).
func (m *Machine) request(r request) {
	if m.pending != nil {
		m.queue = append(m.queue, r)
		return
	}
	h := message.Header{SPIi: m.spii, SPIr: m.spir, Exchange: r.exchange, Flags: m.flag(), MessageID: m.nextID}
	packets, err := m.seal(h, r.payloads)
	if err != nil {
		m.fail(fmt.Errorf("encode %s: %w", h, err))
		return
	}
	m.nextID++
	m.send(r, h.MessageID, packets)
}

func (m *Machine) send(r request, id uint32, packets [][]byte) {
	m.pending = &exchange{request: r, id: id, packets: packets, sent: 1,
		due: m.now.Add(m.cfg.Retransmission.wait(0)), asm: crypto.Reassembler{MaxOctets: m.cfg.MaxPacket}}
	if r.exchange == message.IKEIntermediate {
		m.pending.asm.Inner = &crypto.Inner{}
	}
	m.transmit(packets)
}

func (m *Machine) flushQueue() {
	for m.pending == nil && len(m.queue) > 0 && m.state != stateDone {
		r := m.queue[0]
		m.queue = m.queue[1:]
		m.request(r)
	}
}

// seal protects a message, in fragments where that was agreed on and it is
// larger than one.
func (m *Machine) seal(h message.Header, ps []message.Payload) ([][]byte, error) {
	m.enc.Info("generating " + (&message.Message{Header: h, Payloads: ps}).Summary())
	if !m.fragments {
		b, err := m.prot.Seal(h, ps)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
	bs, err := m.prot.SealFragments(h, ps, m.cfg.FragmentSize, m.remote.Addr().Is6())
	if err == nil && len(bs) > 1 {
		log.Infof(m.enc, "splitting IKE message into %d fragments", len(bs))
	}
	return bs, err
}

func (m *Machine) transmit(packets [][]byte) {
	for _, b := range packets {
		log.Infof(m.net, "sending packet: from %s to %s (%d bytes)", at(m.local), at(m.remote), len(b))
		m.out.Packets = append(m.out.Packets, Packet{From: m.local, To: m.remote, Marker: m.marker, Data: b})
	}
}

func at(a netip.AddrPort) string { return fmt.Sprintf("%s[%d]", a.Addr(), a.Port()) }

// retransmit repeats the request that is out, or gives up.
func (m *Machine) retransmit() {
	x := m.pending
	if m.eapErr != nil && m.state == stateEAP {
		m.fail(m.eapErr) // the gateway was told once; its answer changes nothing
		return
	}
	if x.sent > m.cfg.Retransmission.Tries && m.aside {
		x.due = time.Time{} // the peer has forgotten a rekeyed IKE_SA
		m.ikeSA.dropAt = m.now
		return
	}
	if x.sent > m.cfg.Retransmission.Tries {
		log.Infof(m.ike, "giving up after %d retransmits", x.sent-1)
		m.giveUp()
		return
	}
	log.Infof(m.ike, "retransmit %d of request with message ID %d", x.sent, x.id)
	x.due = m.now.Add(m.cfg.Retransmission.wait(x.sent))
	x.sent++
	m.transmit(x.packets)
}

func (m *Machine) giveUp() {
	if m.state == stateDeleting {
		m.finish(Closed{})
		return
	}
	if m.tryOther() {
		return
	}
	why := ""
	if m.dropped != "" {
		why = "; its last packet was not usable: " + m.dropped
	}
	switch {
	case m.state == stateInit && why == "":
		why = fmt.Sprintf("; check the address, and that UDP port %d is open on the way", m.remote.Port())
	case m.state == stateAuth && why == "":
		why = fmt.Sprintf("; IKE_SA_INIT was answered, IKE_AUTH was not: check that UDP port %d and large packets pass", m.remote.Port())
	}
	times := "retransmissions"
	if m.pending.sent == 2 {
		times = "retransmission"
	}
	m.fail(fmt.Errorf("%w %s after %d %s%s", ErrNoAnswer, at(m.remote), m.pending.sent-1, times, why))
}

// drop logs why a datagram was not used.
func (m *Machine) drop(why string) {
	m.dropped = why
	m.net.Info("ignoring packet: " + why)
}

// receive matches a datagram to its exchange. Nothing that is not
// authenticated changes the state, but in IKE_SA_INIT.
func (m *Machine) receive(d Datagram) {
	log.Infof(m.net, "received packet: from %s to %s (%d bytes)", at(d.From), at(m.local), len(d.Data))
	if len(d.Data) > m.cfg.MaxPacket {
		m.drop(fmt.Sprintf("%d bytes, at most %d are accepted (charon.max_packet)", len(d.Data), m.cfg.MaxPacket))
		return
	}
	h, err := message.ParseHeader(d.Data)
	switch {
	case err != nil:
		m.drop(err.Error())
	case int64(h.Length) != int64(len(d.Data)):
		m.drop("length in the header does not match")
	case m.owner(h) == nil:
		m.drop("not for this IKE_SA")
	case h.IsResponse():
		m.on(m.owner(h), func() { m.receiveResponse(h, d) })
	default:
		m.on(m.owner(h), func() { m.receiveRequest(h, d) })
	}
}

func (m *Machine) receiveResponse(h message.Header, d Datagram) {
	x := m.pending
	if x == nil || h.MessageID != x.id || h.Exchange != x.exchange {
		log.Infof(m.net, "received %s that no request waits for, ignored", h)
		return
	}
	if m.state == stateInit {
		if d.From != m.remote {
			m.drop("IKE_SA_INIT response from another address than the gateway's")
			return
		}
		msg, err := message.Parse(d.Data)
		if err != nil {
			m.drop(err.Error())
			return
		}
		m.enc.Info("parsed " + msg.Summary())
		m.answered++
		m.initAnswer(msg, d.Data)
		return
	}
	if h.SPIr != m.spir {
		m.drop("not for this IKE_SA")
		return
	}
	msg, err := x.asm.Handle(m.prot, d.Data)
	var content *crypto.ContentError
	switch {
	case errors.As(err, &content):
		// The peer holds the keys and yet sends what cannot be read.
		m.fail(fmt.Errorf("%w: %s: %w", ErrProtocol, h, err))
		return
	case errors.Is(err, crypto.ErrTooLarge):
		m.fail(fmt.Errorf("receive %s: %w: raise charon.max_packet", h, err))
		return
	case err != nil:
		m.drop(err.Error())
		return
	case msg == nil: // more fragments to come
		return
	}
	m.enc.Info("parsed " + msg.Summary())
	m.lastIn = m.now
	m.dropped = ""
	m.answered++
	m.pending = nil
	m.answer(x, msg)
}

// answer hands an authenticated response to the state that waits for it.
func (m *Machine) answer(x *exchange, msg *message.Message) {
	switch m.state {
	case stateIntermediate:
		m.intermediateAnswer(x, msg)
	case stateAuth, stateEAP, stateAuthFinal:
		m.authAnswer(msg)
	case stateEstablished, stateDeleting:
		m.jobAnswer(x, msg)
	}
}

// receiveRequest handles requests of the peer, which has a window of 1 too.
func (m *Machine) receiveRequest(h message.Header, d Datagram) {
	if m.state < stateEstablished || h.SPIr != m.spir {
		// Before both sides are authenticated there is nothing to ask us; what
		// overtook the last IKE_AUTH response comes again.
		log.Infof(m.net, "received %s in state %s, ignored", h, m.state)
		return
	}
	switch {
	case h.MessageID == m.peerNext:
	case h.MessageID+1 == m.peerNext && m.peerResp != nil:
		if m.isRepeat(d.Data) {
			log.Infof(m.ike, "received retransmit of request with ID %d, retransmitting response", h.MessageID)
			m.transmit(m.peerResp)
		}
		return
	default:
		log.Infof(m.net, "received message ID %d, expected %d, ignored", h.MessageID, m.peerNext)
		return
	}
	msg, err := m.reqAsm.Handle(m.prot, d.Data)
	var content *crypto.ContentError
	switch {
	case errors.As(err, &content):
		m.ike.Info(content.Error())
		m.respond(h, content.Notify())
		return
	case err != nil:
		m.drop(err.Error())
		return
	case msg == nil:
		return
	}
	m.enc.Info("parsed " + msg.Summary())
	m.lastIn = m.now
	m.peerRequest(msg)
}

// isRepeat reports whether b is an authentic message, or the first fragment of
// one: only that asks for the response again (RFC 7383 §2.6.1).
func (m *Machine) isRepeat(b []byte) bool {
	msg, err := message.Parse(b)
	if err != nil || len(msg.Payloads) == 0 {
		return false
	}
	if f, ok := msg.Payloads[len(msg.Payloads)-1].(*message.SKF); ok && f.Number != 1 {
		return false
	}
	asm := crypto.Reassembler{MaxOctets: m.cfg.MaxPacket}
	_, err = asm.Handle(m.prot, b)
	var content *crypto.ContentError
	return err == nil || errors.As(err, &content)
}

// respond answers the peer's request, and keeps the response for
// retransmissions.
func (m *Machine) respond(h message.Header, ps ...message.Payload) {
	r := message.Header{SPIi: m.spii, SPIr: m.spir, Exchange: h.Exchange, MessageID: h.MessageID,
		Flags: m.flag() | message.FlagResponse}
	packets, err := m.seal(r, ps)
	if err != nil {
		m.fail(fmt.Errorf("encode %s: %w", r, err))
		return
	}
	m.peerNext++
	m.peerResp = packets
	m.reqAsm = crypto.Reassembler{MaxOctets: m.cfg.MaxPacket}
	m.transmit(packets)
}
