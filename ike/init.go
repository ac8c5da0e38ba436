package ike

import (
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// nonceSize is the size of our nonces in octets, as strongSwan's.
const nonceSize = 32

// Lengths of a cookie in octets, RFC 7296 section 2.6.
const (
	minCookie = 1
	maxCookie = 64
)

// initExchange is IKE_SA_INIT, and the IKE_INTERMEDIATE exchanges that follow
// where there are additional key exchanges.
type initExchange struct {
	*core
	redirect *redirection

	proposals         []message.Proposal
	ni, nr            []byte
	cookie            []byte
	cookies           int // that the gateway asked for
	ke                crypto.KeyExchange
	triedKE           map[message.KEMethod]bool
	request, response []byte // as they were sent, for AUTH
	inter             intermediate
}

// start sends the first IKE_SA_INIT request.
func (x *initExchange) start(sa *ikeSA) (err error) {
	if sa.spii, err = x.newSPI(); err != nil {
		return err
	}
	if x.ni, err = x.random(nonceSize); err != nil {
		return err
	}
	if err := x.newKE(crypto.PreferredKE(x.proposals)); err != nil {
		return err
	}
	x.state = stateInit
	return x.send(sa)
}

func (x *initExchange) newKE(method message.KEMethod) error {
	ke, err := crypto.NewKeyExchange(method, x.rand)
	if err != nil {
		return fmt.Errorf("make key exchange value: %w", err)
	}
	x.zeroKE()
	x.ke = ke
	x.triedKE[method] = true
	return nil
}

func (x *initExchange) zeroKE() {
	if x.ke != nil {
		x.ke.Zero()
		x.ke = nil
	}
}

// zero forgets the key exchange value and the nonces.
func (x *initExchange) zero() {
	x.zeroKE()
	clear(x.ni)
	clear(x.nr)
}

// send sends IKE_SA_INIT, with the cookie where there is one (RFC 7296 section
// 2.6). It replaces the request that is out.
func (x *initExchange) send(sa *ikeSA) error {
	notify := func(t message.NotifyType, data []byte) message.Payload {
		return &message.Notify{NotifyType: t, Data: data}
	}
	var ps []message.Payload
	if x.cookie != nil {
		ps = append(ps, notify(message.Cookie, x.cookie))
	}
	ps = append(ps,
		crypto.SAPayload(x.proposals, nil),
		&message.KE{Method: x.ke.Method(), Data: x.ke.Public()},
		&message.Nonce{Data: x.ni})
	ps = append(ps, x.path.natHashes(sa.spii, 0, x.cfg.ForceEncap)...)
	if !x.cfg.Fragmentation.Off {
		ps = append(ps, notify(message.FragmentationSupported, nil))
	}
	if !x.cfg.Authentication.ClassicSignatures {
		ps = append(ps, notify(message.SignatureHashAlgorithms, signature.AppendHashes(nil, signature.Announced)))
	}
	if x.cfg.Authentication.PPK != nil {
		ps = append(ps, notify(message.UsePPK, nil))
	}
	if crypto.OffersAdditionalKE(x.proposals) {
		ps = append(ps, notify(message.IntermediateExchangeSupported, nil))
	}
	if n := x.redirect.announce(); n != nil {
		ps = append(ps, n)
	}
	msg := &message.Message{
		Header:   message.Header{SPIi: sa.spii, Exchange: message.IKESAInit, Flags: message.FlagInitiator},
		Payloads: ps,
	}
	b, err := msg.AppendBinary(nil)
	if err != nil {
		return err
	}
	x.request = b
	log.Infof(x.enc, "generating %s", summary{msg})
	sa.nextID = 1
	sa.send(request{exchange: message.IKESAInit}, 0, [][]byte{b})
	return nil
}

// answer handles an answer to IKE_SA_INIT, which nothing protects: what is no
// proper answer is dropped, and only the first usable one counts. It reports
// whether sa has keys now.
func (x *initExchange) answer(sa *ikeSA, msg *message.Message, raw []byte) bool {
	if n := msg.Notify(message.Cookie); n != nil {
		x.cookieAnswer(sa, n)
		return false
	}
	if n := msg.Notify(message.InvalidKEPayload); n != nil {
		x.invalidKE(sa, n)
		return false
	}
	if x.redirect.fromInit(msg, x.ni) {
		return false
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(x.ike, "received %s notify error", n.NotifyType)
		switch n.NotifyType {
		case message.NoProposalChosen:
			x.fail(fmt.Errorf("%w: the gateway accepts none of %s", ErrProposal, crypto.ProposalString(x.proposals...)))
		default:
			x.fail(fmt.Errorf("%w: %s", ErrRefused, n.NotifyType))
		}
		return false
	}
	offer, ok1 := message.First[*message.SA](msg.Payloads)
	ke, ok2 := message.First[*message.KE](msg.Payloads)
	nonce, ok3 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 || msg.SPIr == 0 {
		x.drop("IKE_SA_INIT response without SA, KE, nonce or SPI")
		return false
	}
	suite, _, err := crypto.CheckChosen(x.proposals, offer)
	if err != nil {
		x.fail(fmt.Errorf("%w: %w: %w", ErrProtocol, ErrProposal, err))
		return false
	}
	x.response, x.nr = clone(raw), clone(nonce.Data)
	if err := x.derive(sa, suite, msg.SPIr, ke); err != nil {
		x.fail(err)
		return false
	}
	sa.pending = nil
	x.dropped = ""
	log.Infof(x.conf, "selected proposal: %s", suiteName{"IKE", suite})
	x.fragments = !x.cfg.Fragmentation.Off && msg.Notify(message.FragmentationSupported) != nil
	return true
}

// derive gives sa the keys that the key exchange leads to.
func (x *initExchange) derive(sa *ikeSA, suite crypto.Suite, spir message.SPI, ke *message.KE) error {
	if suite.KE != x.ke.Method() || ke.Method != suite.KE {
		return fmt.Errorf("%w: the gateway chose %s and sent a %s value, ours is %s", ErrProtocol, suite.KE, ke.Method, x.ke.Method())
	}
	shared, err := x.ke.Shared(ke.Data)
	if err != nil {
		return fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
	}
	defer clear(shared)
	if sa.prf, err = crypto.NewPRF(suite.PRF.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrProposal, err)
	}
	sa.spir, sa.suite = spir, suite
	if sa.keys, err = crypto.DeriveIKE(suite, shared, x.ni, x.nr, sa.spii, sa.spir); err == nil {
		sa.prot, err = crypto.NewProtector(suite, sa.keys, true, x.rand)
	}
	if err != nil {
		return fmt.Errorf("derive keys: %w", err)
	}
	x.zeroKE()
	sa.reqAsm = crypto.Reassembler{MaxOctets: x.cfg.Fragmentation.MaxPacket}
	return nil
}

func (x *initExchange) cookieAnswer(sa *ikeSA, n *message.Notify) {
	if len(n.Data) < minCookie || len(n.Data) > maxCookie {
		x.drop("COOKIE of wrong length")
		return
	}
	if x.cookies++; x.cookies > maxCookies {
		x.fail(fmt.Errorf("%w: it asked for a cookie %d times", ErrProtocol, x.cookies))
		return
	}
	x.ike.Info("received COOKIE notify, repeating IKE_SA_INIT with it")
	x.cookie = clone(n.Data)
	x.resend(sa)
}

func (x *initExchange) invalidKE(sa *ikeSA, n *message.Notify) {
	want, err := n.WantedKE()
	if err != nil {
		x.drop(err.Error())
		return
	}
	if want == x.ke.Method() {
		// The answer to an earlier transmission; RFC 7296 section 2.6.1 leaves it
		// without meaning once our value is of the wanted method.
		x.drop("INVALID_KE_PAYLOAD asks for the method that was sent")
		return
	}
	log.Infof(x.ike, "peer didn't accept key exchange method %s, it requested %s", x.ke.Method(), want)
	switch {
	case !crypto.OffersKE(x.proposals, want):
		x.fail(fmt.Errorf("%w: the gateway wants key exchange method %s, which the proposals do not offer", ErrProposal, want))
	case x.triedKE[want]:
		x.fail(fmt.Errorf("%w: it refuses every key exchange method in turn", ErrProtocol))
	default:
		if err := x.newKE(want); err != nil {
			x.fail(err)
			return
		}
		x.resend(sa)
	}
}

// resend sends a changed IKE_SA_INIT request: same SPI and nonce, message ID 0.
func (x *initExchange) resend(sa *ikeSA) {
	sa.pending = nil
	if err := x.send(sa); err != nil {
		x.fail(err)
	}
}

// detectNAT compares the hashes of RFC 7296 section 2.23 and moves to port
// 4500, as strongSwan also does where there is no NAT.
func (x *initExchange) detectNAT(sa *ikeSA, msg *message.Message) {
	r := x.path.compare(sa.spii, sa.spir, msg)
	p := &x.path
	if p.natt = r.complete; !p.natt {
		return
	}
	p.natLocal, p.natRemote, p.translated = r.local || x.cfg.ForceEncap, r.remote, r.local
	if x.cfg.ForceEncap && !r.local {
		x.ike.Info("faking NAT situation to enforce UDP encapsulation")
	} else if p.natLocal {
		x.ike.Info("local host is behind NAT, sending keep alives")
	}
	if p.natRemote {
		x.ike.Info("remote host is behind NAT")
	}
	if p.remote.Port() == PortIKE {
		p.remote = netip.AddrPortFrom(p.remote.Addr(), PortNATT)
		p.local, p.marker = x.cfg.LocalNATT, true
	}
}
