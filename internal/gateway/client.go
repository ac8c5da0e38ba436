package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/gateway/eapserver"
	"github.com/gotnc/gotnc/internal/gateway/pbserver"
	"github.com/gotnc/gotnc/internal/gateway/verifier"
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
	verifier *verifier.Verifier
	pb       *pbserver.Server

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
		// The first fragment stands for the whole request (RFC 7383 §2.6.1).
		if m, err := message.Parse(b); err == nil && firstOf(m) {
			c.report.Retransmits++
			c.g.log.Info(fmt.Sprintf("received retransmit of request with ID %d, retransmitting response", h.MessageID))
			c.g.send(c.addr, c.lastResponse...)
		}
		return
	}
	if h.MessageID != c.nextID {
		c.g.log.Info(fmt.Sprintf("received message ID %d, expected %d, ignored", h.MessageID, c.nextID))
		return
	}
	m, err := c.reassembler.Handle(c.protector, b)
	var content *crypto.ContentError
	if errors.As(err, &content) {
		c.g.log.Info(fmt.Sprintf("request %d cannot be decoded: %v", h.MessageID, err))
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
		c.g.log.Info(fmt.Sprintf("request %d dropped: %v", h.MessageID, err))
		return
	}
	if m == nil {
		return // fragments are missing
	}
	c.g.enc.Info("parsed " + m.Summary())
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

// seal protects a message of ours.
func (c *client) seal(h message.Header, ps []message.Payload) ([][]byte, error) {
	c.g.enc.Info("generating " + (&message.Message{Header: h, Payloads: ps}).Summary())
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
		c.g.log.Info(fmt.Sprintf("protect %s: %v", h, err))
		return
	}
	if f := c.g.cfg.Faults.Rewrite; f != nil {
		out = f(Answer{N: c.answered, Messages: out, Seal: func(ps ...message.Payload) [][]byte {
			sealed, err := c.seal(h, ps)
			if err != nil {
				c.g.log.Info(fmt.Sprintf("protect %s: %v", h, err))
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
	c.g.log.Info(fmt.Sprintf("IKE_SA with %s failed: %v", c.addr, why))
	c.freeAt = now.Add(linger)
}

// handleAuth runs IKE_AUTH: the identity, then EAP, then AUTH (RFC 7296 §2.16).
func (c *client) handleAuth(now time.Time, m *message.Message) {
	refuse := func(why error) {
		c.respond(m.Header, &message.Notify{NotifyType: message.AuthenticationFailed})
		c.fail(now, why)
	}
	if c.report.State != Connecting {
		c.respond(m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	switch {
	case c.eap == nil:
		if err := c.firstAuth(now, m); err != nil {
			refuse(err)
		}
	case !c.eapDone:
		p, ok := message.First[*message.EAP](m.Payloads)
		if !ok {
			refuse(errors.New("IKE_AUTH request without EAP payload"))
			return
		}
		packet, status, err := c.eap.Handle(p.Packet)
		c.respond(m.Header, &message.EAP{Packet: packet})
		switch status {
		case eap.StatusFailure:
			c.fail(now, fmt.Errorf("EAP: %w", err))
		case eap.StatusSuccess:
			c.eapDone = true
			c.g.log.Info(fmt.Sprintf("EAP method %s succeeded, MSK established", eap.TypeTTLS))
		}
	default:
		if err := c.finalAuth(now, m); err != nil {
			refuse(err)
		}
	}
}

// firstAuth answers the first IKE_AUTH request.
func (c *client) firstAuth(now time.Time, m *message.Message) error {
	idi, ok := message.First[*message.IDi](m.Payloads)
	if !ok {
		return errors.New("IKE_AUTH request without identity")
	}
	c.idi = idi.Identity
	c.report.Identity = c.idi.String()
	sa, ok1 := message.First[*message.SA](m.Payloads)
	tsi, ok2 := message.First[*message.TSi](m.Payloads)
	tsr, ok3 := message.First[*message.TSr](m.Payloads)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("IKE_AUTH request without CHILD_SA")
	}
	c.wanted = &childRequest{sa: sa, tsi: tsi.Selectors, tsr: tsr.Selectors}
	c.wanted.cp, _ = message.First[*message.CP](m.Payloads)
	identity := c.g.cfg.Identity
	if c.g.cfg.Faults.WrongIdentity != "" {
		identity = c.g.cfg.Faults.WrongIdentity
	}
	var err error
	if c.idr, err = message.ParseIdentity(identity); err != nil {
		return err
	}
	ps := []message.Payload{&message.IDr{Identity: c.idr}}
	if auth, ok := message.First[*message.Auth](m.Payloads); ok {
		shared, err := c.verifyClient(auth, m)
		if err != nil {
			return err
		}
		proof, err := c.proof(shared)
		if err != nil {
			return err
		}
		c.g.log.Info(fmt.Sprintf("authentication of '%s' with %s successful", c.idi, auth.Method))
		return c.establish(now, m, append(ps, proof...))
	}
	if c.g.cfg.SignAuth || m.Notify(message.EAPOnlyAuthentication) == nil {
		signed, err := c.signature()
		if err != nil {
			return err
		}
		ps = append(ps, signed...)
	}
	if err := c.startEAP(); err != nil {
		return err
	}
	packet, status := c.eap.Start()
	c.respond(m.Header, append(ps, &message.EAP{Packet: packet})...)
	switch status {
	case eap.StatusFailure:
		c.fail(now, errors.New("EAP failure, as told"))
	case eap.StatusSuccess:
		c.eapDone = true
	}
	return nil
}

// startEAP makes the EAP server and what stands behind it.
func (c *client) startEAP() error {
	cfg := &c.g.cfg
	v, err := verifier.New(verifier.Config{Policy: cfg.Policy, Rewrite: cfg.Faults.ReplacePA, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	var methods []eap.Type
	for _, name := range cfg.Phase2 {
		t, _ := eap.TypeFromName(name)
		methods = append(methods, t)
	}
	c.eap, err = eapserver.New(eapserver.Config{
		TLS: c.g.tlsConfig(), Users: cfg.Users, Methods: methods, FragmentSize: cfg.EAPFragmentSize, AskIdentity: cfg.AskIdentity,
		FailFirst: cfg.Faults.EAPFailure, SucceedFirst: cfg.Faults.EarlySuccess, Logger: cfg.Logger,
		NewTNC: func(string) (eapserver.TNCServer, error) {
			c.verifier = v
			c.pb = pbserver.New(pbserver.Config{
				Rewrite: c.rewriteBatch, Undecided: cfg.Faults.NoRecommendation, Logger: cfg.Logger,
			}, v)
			return c.pb, nil
		},
	})
	return err
}

func (c *client) rewriteBatch(n int, batch []byte) []byte {
	f := &c.g.cfg.Faults
	if f.BadBatch && n == 0 {
		batch[0] = 9
	}
	if f.ReplaceBatch != nil {
		return f.ReplaceBatch(n, batch)
	}
	return batch
}

// finalAuth verifies the client's AUTH, answers with ours and sets up the
// CHILD_SA.
func (c *client) finalAuth(now time.Time, m *message.Message) error {
	auth, ok := message.First[*message.Auth](m.Payloads)
	if !ok || auth.Method != message.AuthSharedKey {
		return errors.New("IKE_AUTH request without an AUTH payload of the EAP key")
	}
	msk := c.eap.MSK()
	if len(msk) == 0 {
		return errors.New("EAP derived no key")
	}
	if !crypto.VerifyShared(c.prf, msk, c.clientOctets(), auth.Data) {
		return fmt.Errorf("verification of AUTH payload with EAP MSK of '%s' failed", c.idi)
	}
	c.g.log.Info(fmt.Sprintf("authentication of '%s' with EAP successful", c.idi))
	own := crypto.AuthShared(c.prf, msk, c.ownOctets())
	if c.g.cfg.Faults.BadAuth {
		own[0] ^= 0x80
	}
	return c.establish(now, m, []message.Payload{&message.Auth{Method: message.AuthSharedKey, Data: own}})
}

// establish sets up the CHILD_SA and answers with it behind ps.
func (c *client) establish(now time.Time, m *message.Message, ps []message.Payload) error {
	child, err := c.makeChild()
	if err != nil {
		c.g.log.Info(fmt.Sprintf("CHILD_SA of '%s' failed: %v", c.idi, err))
		var n *notifyError
		if !errors.As(err, &n) {
			return err
		}
		ps = append(ps, &message.Notify{NotifyType: n.notify})
	} else {
		ps = append(ps, child...)
	}
	c.report.State = Established
	c.g.log.Info(fmt.Sprintf("IKE_SA established between %s[%s]...%s[%s]", c.g.local.Addr(), c.idr, c.addr.Addr(), c.idi))
	c.respond(m.Header, ps...)
	f := &c.g.cfg.Faults
	if f.DeleteAfter > 0 {
		c.deleteAt = now.Add(f.DeleteAfter)
	}
	if f.DPD > 0 {
		c.nextDPD = now.Add(f.DPD)
	}
	return nil
}

// handleInformational answers liveness checks and deletes.
func (c *client) handleInformational(now time.Time, m *message.Message) {
	var ps []message.Payload
	gone := false
	for _, d := range message.All[*message.Delete](m.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			gone = true
		case message.ProtocolESP:
			for _, spi := range d.SPIs {
				if c.child != nil && string(spi) == string(c.child.peerSPI) {
					ps = append(ps, &message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{c.child.ownSPI()}})
					c.dropChild()
				}
			}
		}
	}
	if n := m.Notify(message.AuthenticationFailed); n != nil {
		c.respond(m.Header)
		c.report.Failure = "the client does not accept the authentication of the gateway"
		if c.report.State == Established {
			c.report.State = Failed
		}
		c.fail(now, errors.New(c.report.Failure))
		return
	}
	if gone {
		c.respond(m.Header)
		c.gone(now)
		return
	}
	c.respond(m.Header, ps...)
}

// gone ends the IKE_SA after a delete.
func (c *client) gone(now time.Time) {
	if c.report.State == Established {
		c.report.State = Deleted
		c.g.log.Info(fmt.Sprintf("deleting IKE_SA between %s[%s]...%s[%s]", c.g.local.Addr(), c.idr, c.addr.Addr(), c.idi))
	} else if c.report.State == Connecting {
		c.report.State, c.report.Failure = Failed, "deleted by the client"
	}
	c.dropChild()
	c.own = nil
	c.freeAt = now.Add(linger)
}

// request sends a request of the gateway.
func (c *client) request(now time.Time, deletes bool, ps ...message.Payload) {
	h := message.Header{SPIi: c.spii, SPIr: c.spir, Exchange: message.Informational, MessageID: c.ownID}
	out, err := c.seal(h, ps)
	if err != nil {
		c.g.log.Info(fmt.Sprintf("protect %s: %v", h, err))
		return
	}
	c.own = &ownRequest{messages: out, id: c.ownID, due: now.Add(ownRetransmit), deletes: deletes}
	c.ownID++
	c.g.send(c.addr, out...)
}

func (c *client) deleteSA(now time.Time) {
	c.request(now, true, &message.Delete{Protocol: message.ProtocolIKE})
}

// handleResponse takes the answer to an own request.
func (c *client) handleResponse(now time.Time, h message.Header, b []byte) {
	if c.own == nil || h.MessageID != c.own.id {
		return
	}
	m, err := c.answers.Handle(c.protector, b)
	if err != nil || m == nil {
		return
	}
	c.g.enc.Info("parsed " + m.Summary())
	deletes := c.own.deletes
	c.own = nil
	if deletes {
		c.gone(now)
	}
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
			c.g.log.Info(fmt.Sprintf("giving up after %d retransmits", ownTries))
			c.gone(now)
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
