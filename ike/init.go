package ike

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// nonceSize is the size of our nonces in octets, as strongSwan's.
const nonceSize = 32

// eapUnfragmented is the largest EAP packet, in octets, where IKE fragmentation
// was not agreed on: with it a message still fits a datagram that no router
// has to cut. It is strongSwan's size too.
const eapUnfragmented = 1024

func (m *Machine) startInit() error {
	for m.spii == 0 {
		b, err := m.random(8)
		if err != nil {
			return err
		}
		m.spii = message.SPI(binary.BigEndian.Uint64(b))
	}
	var err error
	if m.ni, err = m.random(nonceSize); err != nil {
		return err
	}
	if err := m.newKE(crypto.PreferredKE(m.ikeProposals)); err != nil {
		return err
	}
	m.state = stateInit
	return m.sendInit()
}

func (m *Machine) newKE(method message.KEMethod) error {
	ke, err := crypto.NewKeyExchange(method, m.rand)
	if err != nil {
		return fmt.Errorf("make key exchange value: %w", err)
	}
	if m.ke != nil {
		m.ke.Zero()
	}
	m.ke = ke
	m.triedKE[method] = true
	return nil
}

// sendInit sends IKE_SA_INIT, with the cookie where there is one (RFC 7296
// §2.6). It replaces the request that is out.
func (m *Machine) sendInit() error {
	notify := func(t message.NotifyType, data []byte) message.Payload {
		return &message.Notify{NotifyType: t, Data: data}
	}
	var ps []message.Payload
	if m.cookie != nil {
		ps = append(ps, notify(message.Cookie, m.cookie))
	}
	source := crypto.NATDetection(m.spii, 0, m.local)
	if m.cfg.ForceEncap {
		any := netip.IPv4Unspecified()
		if m.local.Addr().Is6() {
			any = netip.IPv6Unspecified()
		}
		source = crypto.NATDetection(m.spii, 0, netip.AddrPortFrom(any, 0))
	}
	ps = append(ps,
		crypto.SAPayload(m.ikeProposals, nil),
		&message.KE{Method: m.ke.Method(), Data: m.ke.Public()},
		&message.Nonce{Data: m.ni},
		notify(message.NATDetectionSourceIP, source),
		notify(message.NATDetectionDestinationIP, crypto.NATDetection(m.spii, 0, m.remote)))
	if !m.cfg.NoFragmentation {
		ps = append(ps, notify(message.FragmentationSupported, nil))
	}
	ps = append(ps, notify(message.SignatureHashAlgorithms, signature.AppendHashes(nil, signature.Announced)))
	if m.cfg.PPK != nil {
		ps = append(ps, notify(message.UsePPK, nil))
	}
	if crypto.OffersAdditionalKE(m.ikeProposals) {
		ps = append(ps, notify(message.IntermediateExchangeSupported, nil))
	}
	if n := m.redirectNotify(); n != nil {
		ps = append(ps, n)
	}
	msg := &message.Message{
		Header:   message.Header{SPIi: m.spii, Exchange: message.IKESAInit, Flags: message.FlagInitiator},
		Payloads: ps,
	}
	b, err := msg.AppendBinary(nil)
	if err != nil {
		return err
	}
	m.initRequest = b
	m.enc.Info("generating " + msg.Summary())
	m.nextID = 1
	m.send(request{exchange: message.IKESAInit}, 0, [][]byte{b})
	return nil
}

// initAnswer handles the answer to IKE_SA_INIT, which nothing protects: what
// is no proper answer is dropped, and only the first usable one counts.
func (m *Machine) initAnswer(msg *message.Message, raw []byte) {
	if n := msg.Notify(message.Cookie); n != nil {
		m.cookieAnswer(n)
		return
	}
	if n := msg.Notify(message.InvalidKEPayload); n != nil {
		m.invalidKE(n)
		return
	}
	if m.initRedirect(msg) {
		return
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		switch n.NotifyType {
		case message.NoProposalChosen:
			m.fail(fmt.Errorf("%w: the gateway accepts none of %s",
				ErrProposal, crypto.ProposalString(m.ikeProposals...)))
		default:
			m.fail(fmt.Errorf("%w: %s", ErrRefused, n.NotifyType))
		}
		return
	}
	sa, ok1 := message.First[*message.SA](msg.Payloads)
	ke, ok2 := message.First[*message.KE](msg.Payloads)
	nonce, ok3 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 || msg.SPIr == 0 {
		m.drop("IKE_SA_INIT response without SA, KE, nonce or SPI")
		return
	}
	suite, _, err := crypto.CheckChosen(m.ikeProposals, sa)
	if err != nil {
		m.fail(fmt.Errorf("%w: %w: %w", ErrProtocol, ErrProposal, err))
		return
	}
	if suite.KE != m.ke.Method() || ke.Method != suite.KE {
		m.fail(fmt.Errorf("%w: the gateway chose %s and sent a %s value, ours is %s", ErrProtocol, suite.KE, ke.Method, m.ke.Method()))
		return
	}
	shared, err := m.ke.Shared(ke.Data)
	if err != nil {
		m.fail(fmt.Errorf("%w: key exchange: %w", ErrProtocol, err))
		return
	}
	defer clear(shared)
	if m.prf, err = crypto.NewPRF(suite.PRF.ID); err != nil {
		m.fail(fmt.Errorf("%w: %w", ErrProposal, err))
		return
	}
	m.spir, m.suite, m.nr = msg.SPIr, suite, clone(nonce.Data)
	m.initResponse = clone(raw)
	if m.keys, err = crypto.DeriveIKE(suite, shared, m.ni, m.nr, m.spii, m.spir); err == nil {
		m.prot, err = crypto.NewProtector(suite, m.keys, true, m.rand)
	}
	if err != nil {
		m.fail(fmt.Errorf("derive keys: %w", err))
		return
	}
	m.ke.Zero()
	m.ke = nil
	m.pending = nil
	m.dropped = ""
	m.lastIn = m.now
	m.reqAsm = crypto.Reassembler{MaxOctets: m.cfg.MaxPacket}
	m.conf.Info("selected proposal: " + suiteName("IKE", suite))
	m.fragments = !m.cfg.NoFragmentation && msg.Notify(message.FragmentationSupported) != nil
	for _, l := range m.cfg.LocalRounds {
		if s, ok := l.EAP.(eap.Sizer); ok && !m.fragments {
			s.SetFragmentSize(eapUnfragmented)
		}
	}
	if err := m.noteAbilities(msg); err != nil {
		m.fail(err)
		return
	}
	m.detectNAT(msg)
	if err := m.afterInit(msg); err != nil {
		m.fail(err)
	}
}

// noteAbilities takes what the gateway says about authentication.
func (m *Machine) noteAbilities(msg *message.Message) error {
	m.multiAuth = msg.Notify(message.MultipleAuthSupported) != nil
	if n := msg.Notify(message.SignatureHashAlgorithms); n != nil {
		var err error
		if m.peerHashes, err = signature.ParseHashes(n.Data); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	m.noteCertRequests(msg)
	return m.agreePPK(msg)
}

func (m *Machine) cookieAnswer(n *message.Notify) {
	if len(n.Data) == 0 || len(n.Data) > 64 {
		m.drop("COOKIE of wrong length")
		return
	}
	if m.cookies++; m.cookies > maxCookies {
		m.fail(fmt.Errorf("%w: it asked for a cookie %d times", ErrProtocol, m.cookies))
		return
	}
	m.ike.Info("received COOKIE notify, repeating IKE_SA_INIT with it")
	m.cookie = clone(n.Data)
	m.again()
}

func (m *Machine) invalidKE(n *message.Notify) {
	want, err := n.WantedKE()
	if err != nil {
		m.drop(err.Error())
		return
	}
	if want == m.ke.Method() {
		// The answer to an earlier transmission; RFC 7296 §2.6.1 leaves it
		// without meaning once our value is of the wanted method.
		m.drop("INVALID_KE_PAYLOAD asks for the method that was sent")
		return
	}
	log.Infof(m.ike, "peer didn't accept key exchange method %s, it requested %s", m.ke.Method(), want)
	switch {
	case !crypto.OffersKE(m.ikeProposals, want):
		m.fail(fmt.Errorf("%w: the gateway wants key exchange method %s, which the proposals do not offer", ErrProposal, want))
	case m.triedKE[want]:
		m.fail(fmt.Errorf("%w: it refuses every key exchange method in turn", ErrProtocol))
	default:
		if err := m.newKE(want); err != nil {
			m.fail(err)
			return
		}
		m.again()
	}
}

// again sends IKE_SA_INIT anew: same SPI and nonce, message ID 0.
func (m *Machine) again() {
	m.pending = nil
	if err := m.sendInit(); err != nil {
		m.fail(err)
	}
}

// detectNAT compares the hashes of RFC 7296 §2.23 and moves to port 4500, as
// strongSwan also does where there is no NAT.
func (m *Machine) detectNAT(msg *message.Message) {
	var source, sourceOK, dest, destOK bool
	from := crypto.NATDetection(m.spii, m.spir, m.remote)
	to := crypto.NATDetection(m.spii, m.spir, m.local)
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch n.NotifyType {
		case message.NATDetectionSourceIP:
			source = true
			sourceOK = sourceOK || subtle.ConstantTimeCompare(n.Data, from) == 1
		case message.NATDetectionDestinationIP:
			dest = true
			destOK = destOK || subtle.ConstantTimeCompare(n.Data, to) == 1
		}
	}
	m.natt = source && dest
	if !m.natt {
		return
	}
	m.natLocal = !destOK || m.cfg.ForceEncap
	m.natRemote = !sourceOK
	if m.cfg.ForceEncap && destOK {
		m.ike.Info("faking NAT situation to enforce UDP encapsulation")
	} else if m.natLocal {
		m.ike.Info("local host is behind NAT, sending keep alives")
	}
	if m.natRemote {
		m.ike.Info("remote host is behind NAT")
	}
	if m.remote.Port() == PortIKE {
		m.remote = netip.AddrPortFrom(m.remote.Addr(), PortNATT)
		m.local, m.marker = m.cfg.LocalNATT, true
	}
}

var errNoChild = errors.New("the gateway sent no CHILD_SA")
