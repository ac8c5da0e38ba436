package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Bits of Gateway.asked.
const (
	askedKE = 1 << iota
)

// handleInit answers an IKE_SA_INIT request (RFC 7296 section 1.2).
func (g *Gateway) handleInit(now time.Time, from netip.AddrPort, b []byte) {
	for _, c := range g.clients {
		if !c.freed && c.addr == from && bytes.Equal(c.initRequest, b) {
			c.report.Retransmits++
			g.log.Info("received retransmit of request with ID 0, retransmitting response")
			g.send(from, c.initResponse)
			return
		}
	}
	m, err := message.Parse(b)
	if err != nil {
		log.Infof(g.log, "IKE_SA_INIT request ignored: %v", err)
		return
	}
	log.Infof(g.enc, "parsed %s", m.Summary())
	f := &g.cfg.Faults
	g.requests++
	if f.SilentAfter > 0 && g.requests > f.SilentAfter {
		return
	}
	sa, ok1 := message.First[*message.SA](m.Payloads)
	ke, ok2 := message.First[*message.KE](m.Payloads)
	ni, ok3 := message.First[*message.Nonce](m.Payloads)
	if !ok1 || !ok2 || !ok3 {
		g.answerPlain(from, m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	if f.Cookie || f.CookieTwice {
		if want := g.cookie(m, ni.Data, from); want != nil {
			g.answerPlain(from, m.Header, &message.Notify{NotifyType: message.Cookie, Data: want})
			return
		}
	}
	if f.NoProposal {
		g.answerPlain(from, m.Header, &message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	if f.InvalidKE && g.asked[m.SPIi]&askedKE == 0 {
		if other := g.otherKE(sa, ke.Method); other != message.KENone {
			g.asked[m.SPIi] |= askedKE
			g.answerPlain(from, m.Header, message.NewInvalidKE(other))
			return
		}
	}
	suite, chosen, err := crypto.SelectKE(g.ike, sa, ke.Method)
	if err != nil {
		log.Infof(g.log, "no matching proposal: %v", err)
		g.answerPlain(from, m.Header, &message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	if suite.KE != ke.Method {
		g.answerPlain(from, m.Header, message.NewInvalidKE(suite.KE))
		return
	}
	if g.active() >= g.cfg.MaxClients {
		log.Infof(g.log, "ignoring IKE_SA setup from %s, %d clients are connected", from.Addr(), g.active())
		return
	}
	c, err := g.newClient(now, from, m, b, suite, chosen, ke, ni)
	if err != nil {
		log.Infof(g.log, "IKE_SA_INIT with %s failed: %v", from, err)
		g.answerPlain(from, m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	g.clients = append(g.clients, c)
	g.bySPI[c.spir] = c.ikeSA
	log.Infof(g.log, "selected proposal: %s", suite)
	g.send(from, c.initResponse)
}

// cookie returns the cookie that the request still lacks, nil where it has it
// (RFC 7296 section 2.6). With CookieTwice there are two generations.
func (g *Gateway) cookie(m *message.Message, ni []byte, from netip.AddrPort) []byte {
	generate := func(generation byte) []byte {
		h := hmac.New(sha256.New, g.secret[:])
		h.Write([]byte{generation})
		h.Write(m.SPIi.Bytes())
		h.Write(ni)
		h.Write(from.Addr().AsSlice())
		return h.Sum(nil)
	}
	var got []byte
	// "The COOKIE … MUST be included as the first payload."
	if n, ok := m.Payloads[0].(*message.Notify); ok && n.NotifyType == message.Cookie {
		got = n.Data
	}
	first := generate(0)
	if !g.cfg.Faults.CookieTwice {
		if hmac.Equal(got, first) {
			return nil
		}
		return first
	}
	second := generate(1)
	switch {
	case hmac.Equal(got, second):
		return nil
	case hmac.Equal(got, first):
		return second
	}
	return first
}

// otherKE returns a key exchange method that the client offers and the gateway
// has, other than used.
func (g *Gateway) otherKE(sa *message.SA, used message.KEMethod) message.KEMethod {
	for _, p := range sa.Proposals {
		for _, t := range p.OfType(message.KEXCH) {
			m := message.KEMethod(t.ID)
			if m == used || m == message.KENone {
				continue
			}
			if _, _, err := crypto.Select(crypto.OnlyKE(g.ike, m), sa); err == nil {
				return m
			}
		}
	}
	return message.KENone
}

// newClient agrees on keys and prepares the IKE_SA_INIT response.
func (g *Gateway) newClient(now time.Time, from netip.AddrPort, m *message.Message, request []byte,
	suite crypto.Suite, chosen message.Proposal, ke *message.KE, ni *message.Nonce) (*client, error) {
	var random [8 + 32]byte
	if _, err := io.ReadFull(g.cfg.Rand, random[:]); err != nil {
		return nil, err
	}
	c := &client{
		g: g, addr: from, started: now, ni: ni.Data, nr: random[8:], initRequest: request,
		report: ClientReport{Addr: from, Started: now, IKEProposal: suite.String()},
	}
	c.ikeSA = &ikeSA{client: c, spii: m.SPIi, spir: message.SPI(binary.BigEndian.Uint64(random[:8]) | 1), suite: suite, nextID: 1}
	c.reassembler.MaxOctets = maxPacket
	public, shared, err := crypto.RespondKE(ke.Method, g.cfg.Rand, ke.Data)
	if err != nil {
		return nil, err
	}
	defer clear(shared)
	if c.prf, err = crypto.NewPRF(suite.PRF.ID); err != nil {
		return nil, err
	}
	if c.keys, err = crypto.DeriveIKE(suite, shared, c.ni, c.nr, c.spii, c.spir); err != nil {
		return nil, err
	}
	if c.protector, err = crypto.NewProtector(suite, c.keys, false, g.cfg.Rand); err != nil {
		return nil, err
	}
	if chosen.Number == 0 {
		chosen.Number = 1
	}
	ps := []message.Payload{
		&message.SA{Proposals: []message.Proposal{chosen}},
		&message.KE{Method: ke.Method, Data: public},
		&message.Nonce{Data: c.nr},
		&message.Notify{NotifyType: message.NATDetectionSourceIP, Data: crypto.NATDetection(c.spii, c.spir, g.local)},
		&message.Notify{NotifyType: message.NATDetectionDestinationIP, Data: crypto.NATDetection(c.spii, c.spir, from)},
	}
	if c.intermediate.left = suite.AdditionalKEs(); len(c.intermediate.left) > 0 {
		if m.Notify(message.IntermediateExchangeSupported) == nil {
			return nil, errors.New("additional key exchange offered without IKE_INTERMEDIATE")
		}
		c.reassembler.Inner = &crypto.Inner{}
		ps = append(ps, &message.Notify{NotifyType: message.IntermediateExchangeSupported})
	}
	if m.Notify(message.FragmentationSupported) != nil && !g.cfg.Faults.NoFragmentation {
		c.fragmentation = true
		ps = append(ps, &message.Notify{NotifyType: message.FragmentationSupported})
	}
	if n := m.Notify(message.SignatureHashAlgorithms); n != nil {
		if c.hashes, err = signature.ParseHashes(n.Data); err != nil {
			return nil, err
		}
		ps = append(ps, &message.Notify{NotifyType: message.SignatureHashAlgorithms, Data: signature.AppendHashes(nil, signature.Announced)})
	}
	if g.cfg.ClientCAs != nil {
		ps = append(ps, &message.CertRequest{Encoding: message.CertX509Signature}) // of any CA
	}
	response := message.Message{
		Header:   message.Header{SPIi: c.spii, SPIr: c.spir, Exchange: message.IKESAInit, Flags: message.FlagResponse},
		Payloads: ps,
	}
	if c.initResponse, err = response.AppendBinary(nil); err != nil {
		return nil, err
	}
	log.Infof(g.enc, "generating %s", response.Summary())
	return c, nil
}
