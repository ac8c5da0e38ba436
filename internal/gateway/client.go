package gateway

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway/eapserver"
	"github.com/gotnc/gotnc/tnccs/server"
)

// client is one IKE_SA, the responder's side. Gateway.mu guards it.
type client struct {
	g       *Gateway
	addr    netip.AddrPort
	started time.Time
	report  ClientReport

	spii, spir                message.SPI
	initRequest, initResponse []byte
	ni, nr                    []byte
	suite                     crypto.Suite
	prf                       crypto.PRF
	keys                      *crypto.IKEKeys
	protector                 *crypto.Protector
	reassembler               crypto.Reassembler
	answers                   crypto.Reassembler // of the client's responses
	fragmentation             bool
	intermediate              intermediate
	hashes                    []signature.Hash // that the client verifies signatures with (RFC 7427); nil = it announced none

	nextID       uint32   // of the next request of the client
	lastResponse [][]byte // to request nextID-1
	answered     int      // protected answers so far

	idi      message.Identity
	idr      message.Identity
	wanted   *childRequest
	eap      *eapserver.Server
	eapDone  bool
	verifier *imv.Verifier
	pb       *server.Session

	child     *childSA
	virtualIP netip.Addr

	ownID            uint32 // of the next own request
	own              *ownRequest
	nextDPD          time.Time
	deleteAt, freeAt time.Time
	freed            bool
}

// ownRequest is a request of the gateway under way.
type ownRequest struct {
	messages [][]byte
	id       uint32
	due      time.Time
	tries    int
	deletes  bool
}

// childRequest is what the client's first IKE_AUTH asks for.
type childRequest struct {
	sa       *message.SA
	tsi, tsr []message.TrafficSelector
	cp       *message.CP
}

func (c *client) snapshot() ClientReport {
	r := c.report
	if c.eap != nil {
		r.EAPIdentity, r.TLSVersion = c.eap.Identity(), c.eap.TLSVersion()
	}
	if c.pb != nil {
		r.Batches = c.pb.Batches()
	}
	if c.verifier != nil {
		r.Assessment = c.verifier.Report()
	}
	r.LocalTS = append([]string(nil), r.LocalTS...)
	r.RemoteTS = append([]string(nil), r.RemoteTS...)
	return r
}

// handle takes a protected message of the client.
func (c *client) handle(now time.Time, from netip.AddrPort, h message.Header, b []byte) {
	if c.freed {
		return
	}
	if h.IsResponse() {
		c.handleResponse(now, h, b)
		return
	}
	if h.MessageID+1 == c.nextID && c.lastResponse != nil {
		// The first fragment counts for the whole request (RFC 7383 section 2.6.1).
		if m, err := message.Parse(b); err == nil && firstOf(m) {
			c.report.Retransmits++
			log.Infof(c.g.log, "received retransmit of request with ID %d, retransmitting response", h.MessageID)
			c.g.send(c.addr, c.lastResponse...)
		}
		return
	}
	if h.MessageID != c.nextID {
		log.Infof(c.g.log, "received message ID %d, expected %d, ignored", h.MessageID, c.nextID)
		return
	}
	m, err := c.reassembler.Handle(c.protector, b)
	var content *crypto.ContentError
	if errors.As(err, &content) {
		log.Infof(c.g.log, "request %d cannot be decoded: %v", h.MessageID, err)
		c.addr = from
		c.nextID++
		n := &message.Notify{NotifyType: message.InvalidSyntax}
		var critical *message.UnsupportedCriticalError
		if errors.As(err, &critical) {
			n = critical.Notify()
		}
		c.respond(h, n)
		return
	}
	if err != nil {
		log.Infof(c.g.log, "request %d dropped: %v", h.MessageID, err)
		return
	}
	if m == nil {
		return // fragments are missing
	}
	log.Infof(c.g.enc, "parsed %s", m.Summary())
	c.addr, c.report.Addr = from, from
	c.nextID++
	c.report.Requests++
	c.g.requests++
	if n := c.g.cfg.Faults.SilentAfter; n > 0 && c.g.requests > n {
		c.nextID--
		return
	}
	switch m.Exchange {
	case message.IKEIntermediate:
		c.handleIntermediate(now, m)
	case message.IKEAuth:
		c.handleAuth(now, m)
	case message.Informational:
		c.handleInformational(now, m)
	case message.CreateChildSA:
		c.respond(m.Header, &message.Notify{NotifyType: message.NoAdditionalSAs})
	default:
		c.respond(m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// firstOf reports whether m is a whole message or its first fragment.
func firstOf(m *message.Message) bool {
	f, ok := message.First[*message.SKF](m.Payloads)
	return !ok || f.Number == 1
}

// seal protects a message that is sent.
func (c *client) seal(h message.Header, ps []message.Payload) ([][]byte, error) {
	log.Infof(c.g.enc, "generating %s", (&message.Message{Header: h, Payloads: ps}).Summary())
	if !c.fragmentation {
		b, err := c.protector.Seal(h, ps)
		return [][]byte{b}, err
	}
	return c.protector.SealFragments(h, ps, c.g.cfg.FragmentSize, c.addr.Addr().Is6())
}

func (c *client) respond(request message.Header, ps ...message.Payload) {
	h := message.Header{
		SPIi: c.spii, SPIr: c.spir, Exchange: request.Exchange, Flags: message.FlagResponse, MessageID: request.MessageID,
	}
	out, err := c.seal(h, ps)
	if err != nil {
		log.Infof(c.g.log, "protect %s: %v", h, err)
		return
	}
	if f := c.g.cfg.Faults.Rewrite; f != nil {
		out = f(Answer{N: c.answered, Messages: out, Seal: func(ps ...message.Payload) [][]byte {
			sealed, err := c.seal(h, ps)
			if err != nil {
				log.Infof(c.g.log, "protect %s: %v", h, err)
			}
			return sealed
		}})
		c.answered++
	}
	c.lastResponse = out
	c.g.send(c.addr, out...)
}

// fail ends an IKE_SA that never came to stand. It is kept for a moment: the
// last answer may get lost.
func (c *client) fail(now time.Time, why error) {
	if c.report.State == Connecting {
		c.report.State = Failed
		c.report.Failure = why.Error()
	}
	log.Infof(c.g.log, "IKE_SA with %s failed: %v", c.addr, why)
	c.freeAt = now.Add(linger)
}

// tick retransmits, checks liveness and ends what is late.
func (c *client) tick(now time.Time) {
	switch {
	case !c.freeAt.IsZero():
		if !now.Before(c.freeAt) {
			c.free()
		}
		return
	case c.report.State == Connecting && now.Sub(c.started) > c.g.cfg.HalfOpen:
		c.report.State, c.report.Failure = Failed, "timed out"
		c.free()
		return
	case c.own != nil:
		if now.Before(c.own.due) {
			return
		}
		if c.own.tries++; c.own.tries > ownTries {
			log.Infof(c.g.log, "giving up after %d retransmits", ownTries)
			c.deleted(now)
			c.free()
			return
		}
		c.own.due = now.Add(ownRetransmit)
		c.g.send(c.addr, c.own.messages...)
		return
	}
	if c.report.State != Established {
		return
	}
	if !c.deleteAt.IsZero() && !now.Before(c.deleteAt) {
		c.deleteAt = time.Time{}
		c.deleteSA(now)
		return
	}
	if !c.nextDPD.IsZero() && !now.Before(c.nextDPD) {
		c.nextDPD = now.Add(c.g.cfg.Faults.DPD)
		c.request(now, false)
	}
}

// free zeroes keys; the report stays.
func (c *client) free() {
	if c.freed {
		return
	}
	c.report = c.snapshot()
	c.freed = true
	c.dropChild()
	delete(c.g.bySPI, c.spir)
	if c.eap != nil {
		c.eap.Close()
	}
	c.eap, c.pb, c.verifier = nil, nil, nil
	c.protector.Zero()
	c.keys.Zero()
	c.lastResponse, c.own = nil, nil
}

// random4 returns a random SPI for ESP, from 256 on.
func random4() ([]byte, error) {
	b := make([]byte, 4)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x0f | 0xc0
	return b, nil
}
