package ike

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

var (
	clientAddr = netip.MustParseAddrPort("192.168.0.100:500")
	clientNATT = netip.MustParseAddrPort("192.168.0.100:4500")
	gwAddr     = netip.MustParseAddrPort("192.168.0.1:500")
	testMSK    = bytes.Repeat([]byte{0x5a}, 64)
)

// fakeEAP answers every request with as many octets as the request asks for.
type fakeEAP struct {
	msk      []byte
	requests int
	size     int   // octets of a response
	fail     error // instead of the second response
	alert    []byte
	typ      byte // of the responses; 0 = EAP-TTLS
}

func eapPacket(code, id byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{code, id}, uint16(4+len(data)))
	return append(b, data...)
}

func (e *fakeEAP) Handle(req []byte) ([]byte, EAPStatus, error) {
	switch req[0] {
	case eapCodeSuccess:
		return nil, EAPSuccess, nil
	case eapCodeFailure:
		return nil, EAPFailure, errors.New("received EAP_FAILURE")
	}
	e.requests++
	if e.fail != nil && e.requests == 2 {
		return e.alert, EAPFailure, e.fail
	}
	return e.response(req), EAPContinue, nil
}

func (e *fakeEAP) response(req []byte) []byte {
	typ := e.typ
	if typ == 0 {
		typ = 21
	}
	return eapPacket(2, req[1], append([]byte{typ}, make([]byte, e.size)...))
}

func (e *fakeEAP) MSK() []byte { return e.msk }

// responder is a small IKEv2 gateway on ike/message and ike/crypto.
type responder struct {
	t         testing.TB
	proposals []message.Proposal
	esp       []message.Proposal

	// knobs
	cookie      []byte
	wantKE      message.KEMethod
	noNATT      bool
	natClient   bool // the source hash of the client does not fit
	natGateway  bool // its own source hash does not fit
	noFrag      bool
	fragSize    int
	rounds      int // EAP requests before Success
	eapSize     int // octets of a request
	eapFailure  bool
	badAuth     bool
	msk         []byte
	idr         Identity
	childErr    message.NotifyType
	own         []gwRound     // how the gateway authenticates; empty = by EAP alone
	client      []clientRound // what it wants of the client; empty = EAP
	multi       bool          // RFC 4739
	ocspReq     bool
	certReq     [][]byte         // CAs that it asks certificates of
	hashes      []signature.Hash // announced; nil = all
	noHashes    bool
	ppk         []byte // known PPK; nil = none
	ppkDeaf     bool   // supports PPKs in IKE_SA_INIT
	badSig      bool
	editChild   func(ps []message.Payload) []message.Payload
	editInit    func(m *message.Message)
	widen       bool
	vip         netip.Addr
	lastAuthErr message.NotifyType
	firstErr    message.NotifyType
	createErr   message.NotifyType // answer to CREATE_CHILD_SA

	// state
	spii, spir   message.SPI
	suite        crypto.Suite
	prf          crypto.PRF
	keys         *crypto.IKEKeys
	prot         *crypto.Protector
	ni, nr       []byte
	initReq      []byte
	initResp     []byte
	asm          crypto.Reassembler
	next         uint32
	cache        [][]byte
	idiBody      []byte
	round        int
	authOK       bool
	ownDone      int
	clientDone   int
	ppkUsed      bool
	clientCerts  [][]byte
	clientOCSP   [][]byte
	clientScheme signature.Scheme
	childKeys    *crypto.ChildKeys
	spiIn        uint32 // of the client
	sa           *message.SA
	tsi, tsr     []message.TrafficSelector
	cp           *message.CP
	seen         []string // summaries of requests
	respSeen     []string
	responses    []*message.Message
	myID         uint32
	fragsIn      int
	fragsOut     int
	lastNotified message.NotifyType
	intAuth      crypto.IntermediateAuth
	left         []message.KEMethod
	firstAuth    uint32
	editInt      func(ps []message.Payload) []message.Payload
	editAuth     func(ps []message.Payload) []message.Payload
}

func newResponder(t testing.TB) *responder {
	esp, err := crypto.ParseProposals(message.ProtocolESP, []string{"aes128gcm16", "aes256-sha256"})
	require.NoError(t, err)
	ike, err := crypto.ParseProposals(message.ProtocolIKE, []string{"aes128-sha256-ecp256-x25519", "aes256gcm16-prfsha384-x25519-ecp384"})
	require.NoError(t, err)
	id, err := ParseIdentity("moon.strongswan.org")
	require.NoError(t, err)
	return &responder{t: t, proposals: ike, esp: crypto.WithoutKE(esp), rounds: 3, eapSize: 40, msk: testMSK, idr: id, spir: 0x2222222222222222}
}

func notify(t message.NotifyType, data []byte) *message.Notify {
	return &message.Notify{NotifyType: t, Data: data}
}

// handle answers one packet.
func (r *responder) handle(p Packet) [][]byte {
	h, err := message.ParseHeader(p.Data)
	require.NoError(r.t, err)
	require.True(r.t, h.FromInitiator())
	if h.Exchange == message.IKESAInit {
		require.False(r.t, p.Marker)
		require.EqualValues(r.t, 0, h.MessageID)
		if !bytes.Equal(p.Data, r.initReq) { // else a retransmission
			r.initReq = bytes.Clone(p.Data)
			r.cache = r.init(p)
		}
		return r.cache
	}
	if h.IsResponse() {
		msg, err := r.asm.Handle(r.prot, p.Data)
		require.NoError(r.t, err)
		if msg != nil {
			r.respSeen = append(r.respSeen, msg.Summary())
			r.responses = append(r.responses, msg)
		}
		return nil
	}
	if h.MessageID < r.next {
		msg, _ := message.Parse(p.Data)
		if f, ok := msg.Payloads[0].(*message.SKF); ok && f.Number != 1 {
			return nil
		}
		return r.cache
	}
	require.Equal(r.t, r.next, h.MessageID, "window of 1")
	if m, _ := message.Parse(p.Data); m != nil {
		if _, ok := m.Payloads[0].(*message.SKF); ok {
			r.fragsIn++
			require.LessOrEqual(r.t, len(p.Data), 1280-32)
		}
	}
	msg, err := r.asm.Handle(r.prot, p.Data)
	require.NoError(r.t, err)
	if msg == nil {
		return nil
	}
	r.seen = append(r.seen, msg.Summary())
	r.next++
	var ps []message.Payload
	switch h.Exchange {
	case message.IKEIntermediate:
		return r.intermediate(msg)
	case message.IKEAuth:
		if r.firstAuth == 0 {
			r.firstAuth = h.MessageID
		}
		ps = r.editedAuth(msg)
	case message.CreateChildSA:
		if r.createErr != 0 {
			ps = []message.Payload{notify(r.createErr, nil)}
		}
	case message.Informational:
		if n := msg.ErrorNotify(); n != nil {
			r.lastNotified = n.NotifyType
		}
	}
	r.cache = r.seal(message.Header{SPIi: r.spii, SPIr: r.spir, Exchange: h.Exchange, Flags: message.FlagResponse, MessageID: h.MessageID}, ps)
	return r.cache
}

func (r *responder) seal(h message.Header, ps []message.Payload) [][]byte {
	if r.noFrag {
		b, err := r.prot.Seal(h, ps)
		require.NoError(r.t, err)
		return [][]byte{b}
	}
	bs, err := r.prot.SealFragments(h, ps, r.fragSize, false)
	require.NoError(r.t, err)
	if len(bs) > 1 {
		r.fragsOut += len(bs)
	}
	return bs
}

// request makes a request of the gateway.
func (r *responder) request(x message.ExchangeType, ps ...message.Payload) [][]byte {
	h := message.Header{SPIi: r.spii, SPIr: r.spir, Exchange: x, MessageID: r.myID}
	r.myID++
	return r.seal(h, ps)
}

func (r *responder) init(p Packet) [][]byte {
	msg, err := message.Parse(p.Data)
	require.NoError(r.t, err)
	r.seen = append(r.seen, msg.Summary())
	reply := &message.Message{Header: message.Header{SPIi: msg.SPIi, Exchange: message.IKESAInit, Flags: message.FlagResponse}}
	out := func() [][]byte {
		if r.editInit != nil {
			r.editInit(reply)
		}
		b, err := reply.AppendBinary(nil)
		require.NoError(r.t, err)
		r.initResp = b
		return [][]byte{b}
	}
	if r.firstErr != 0 {
		reply.Payloads = []message.Payload{notify(r.firstErr, nil)}
		return out()
	}
	if r.cookie != nil {
		n, ok := msg.Payloads[0].(*message.Notify)
		if !ok || n.NotifyType != message.Cookie || !bytes.Equal(n.Data, r.cookie) {
			reply.Payloads = []message.Payload{notify(message.Cookie, r.cookie)}
			return out()
		}
	}
	ke, _ := message.First[*message.KE](msg.Payloads)
	if r.wantKE != 0 && ke.Method != r.wantKE {
		reply.Payloads = []message.Payload{message.NewInvalidKE(r.wantKE)}
		return out()
	}
	sa, _ := message.First[*message.SA](msg.Payloads)
	no, _ := message.First[*message.Nonce](msg.Payloads)
	suite, chosen, err := crypto.Select(r.proposals, sa)
	if err != nil {
		reply.Payloads = []message.Payload{notify(message.NoProposalChosen, nil)}
		return out()
	}
	if suite.KE != ke.Method {
		reply.Payloads = []message.Payload{message.NewInvalidKE(suite.KE)}
		return out()
	}
	public, shared, err := crypto.RespondKE(suite.KE, nil, ke.Data)
	require.NoError(r.t, err)
	r.suite, r.spii, r.ni, r.next = suite, msg.SPIi, no.Data, 1
	r.nr = make([]byte, 32)
	_, _ = rand.Read(r.nr)
	r.prf, err = suite.NewPRF()
	require.NoError(r.t, err)
	r.keys, err = crypto.DeriveIKE(suite, shared, r.ni, r.nr, r.spii, r.spir)
	require.NoError(r.t, err)
	r.prot, err = crypto.NewProtector(suite, r.keys, false, nil)
	require.NoError(r.t, err)
	chosen.SPI = nil
	reply.SPIr = r.spir
	reply.Payloads = []message.Payload{&message.SA{Proposals: []message.Proposal{chosen}}, &message.KE{Method: suite.KE, Data: public}, &message.Nonce{Data: r.nr}}
	if !r.noNATT {
		dest := p.From
		if r.natClient {
			dest = netip.MustParseAddrPort("203.0.113.7:61000")
		}
		source := p.To
		if r.natGateway {
			source = netip.MustParseAddrPort("10.0.0.7:500")
		}
		reply.Payloads = append(reply.Payloads,
			notify(message.NATDetectionSourceIP, crypto.NATDetection(r.spii, r.spir, source)),
			notify(message.NATDetectionDestinationIP, crypto.NATDetection(r.spii, r.spir, dest)))
	}
	if r.left = suite.AdditionalKEs(); len(r.left) > 0 {
		require.NotNil(r.t, msg.Notify(message.IntermediateExchangeSupported))
		reply.Payloads = append(reply.Payloads, notify(message.IntermediateExchangeSupported, nil))
	}
	if !r.noFrag {
		reply.Payloads = append(reply.Payloads, notify(message.FragmentationSupported, nil))
	}
	reply.Payloads = append(reply.Payloads, r.abilities(msg)...)
	return out()
}

// intermediate answers IKE_INTERMEDIATE (RFC 9370 section 2.2.2).
func (r *responder) intermediate(msg *message.Message) [][]byte {
	require.NotEmpty(r.t, r.left, "more IKE_INTERMEDIATE than key exchanges")
	first, plain, err := message.AppendPayloads(nil, msg.Payloads)
	require.NoError(r.t, err)
	require.NoError(r.t, r.intAuth.Add(r.prf, r.keys.Pi, msg.Header, crypto.Inner{First: first, Payloads: plain}))
	ke, ok := message.First[*message.KE](msg.Payloads)
	require.True(r.t, ok)
	require.Equal(r.t, r.left[0], ke.Method)
	r.left = r.left[1:]
	public, shared, err := crypto.RespondKE(ke.Method, nil, ke.Data)
	require.NoError(r.t, err)
	h := message.Header{SPIi: r.spii, SPIr: r.spir, Exchange: msg.Exchange, Flags: message.FlagResponse, MessageID: msg.MessageID}
	ps := []message.Payload{&message.KE{Method: ke.Method, Data: public}}
	if r.editInt != nil {
		ps = r.editInt(ps)
	}
	first, plain, err = message.AppendPayloads(nil, ps)
	require.NoError(r.t, err)
	require.NoError(r.t, r.intAuth.Add(r.prf, r.keys.Pr, h, crypto.Inner{First: first, Payloads: plain}))
	r.cache = r.seal(h, ps)
	r.keys, err = crypto.DeriveIKERekey(r.suite, r.prf, r.keys.D, shared, r.ni, r.nr, r.spii, r.spir)
	require.NoError(r.t, err)
	r.prot, err = crypto.NewProtector(r.suite, r.keys, false, nil)
	require.NoError(r.t, err)
	return r.cache
}

func (r *responder) intOctets() []byte { return r.intAuth.Octets(r.firstAuth) }

func (r *responder) eap() message.Payload {
	r.round++
	if r.round > r.rounds {
		code := byte(eapCodeSuccess)
		if r.eapFailure {
			code = eapCodeFailure
		}
		return &message.EAP{Packet: eapPacket(code, byte(r.round), nil)}
	}
	return &message.EAP{Packet: eapPacket(1, byte(r.round), append([]byte{21}, make([]byte, r.eapSize)...))}
}

// child answers what the first IKE_AUTH request asked for.
func (r *responder) child() (ps []message.Payload) {
	if r.childErr != 0 {
		return []message.Payload{notify(r.childErr, nil)}
	}
	suite, chosen, err := crypto.Select(r.esp, r.sa)
	require.NoError(r.t, err)
	chosen.SPI = []byte{0xc1, 2, 3, 4}
	r.childKeys, err = crypto.DeriveChild(r.prf, r.keys.D, suite, nil, r.ni, r.nr)
	require.NoError(r.t, err)
	tsi, tsr := r.tsi, r.tsr
	if r.vip.IsValid() {
		ps = append(ps, &message.CP{CPType: message.CPReply, Attributes: []message.CPAttribute{
			{Type: message.InternalIP4Address, Value: r.vip.AsSlice()},
			{Type: message.InternalIP4DNS, Value: []byte{10, 1, 0, 53}},
			{Type: message.InternalIP4Subnet, Value: []byte{10, 1, 0, 0, 255, 255, 0, 0}},
		}})
	}
	if r.widen {
		tsr = []message.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))}
	}
	child := []message.Payload{&message.SA{Proposals: []message.Proposal{chosen}}, &message.TSi{Selectors: tsi}, &message.TSr{Selectors: tsr}}
	if r.editChild != nil {
		child = r.editChild(child)
	}
	return append(ps, child...)
}

// net joins a Machine and a responder on a fake clock.
type network struct {
	t       testing.TB
	m       *Machine
	r       *responder
	eap     *fakeEAP
	now     time.Time
	events  []Event
	sent    []Packet
	log     strings.Builder
	drop    func(toGateway bool, n int, b []byte) bool // n counts packets of a direction
	n       [2]int
	hold    bool                    // work is kept
	signs   bool                    // all but the signature of ours is kept
	work    []Work                  // that was kept
	hostile func(b []byte) [][]byte // what arrives before each packet of the gateway
}

func testConfig(t testing.TB) Config {
	id, err := ParseIdentity("carol@strongswan.org")
	require.NoError(t, err)
	gw, err := ParseIdentity("moon.strongswan.org")
	require.NoError(t, err)
	ts, err := ParseTrafficSelector("10.1.0.0/16")
	require.NoError(t, err)
	return Config{
		Name: "home", Local: clientAddr, LocalNATT: clientNATT, Remote: gwAddr, LocalRounds: []LocalRound{{ID: id}}, RemoteRounds: []RemoteRound{{ID: gw}},
		Proposals: []string{"aes128-sha256-ecp256", "aes256gcm16-prfsha384-ecp384-x25519"},
		Children:  []ChildConfig{{RemoteTS: []TrafficSelector{ts}, Proposals: []string{"aes128gcm16-ecp256"}}},
	}
}

func newNetwork(t testing.TB, edit func(*Config, *responder, *fakeEAP)) *network {
	t.Helper()
	n := &network{t: t, r: newResponder(t), eap: &fakeEAP{msk: testMSK, size: 60}, now: time.Unix(1700000000, 0)}
	cfg := testConfig(t)
	cfg.Logger = log.NewWriter(&n.log, everyLevel{})
	if edit != nil {
		edit(&cfg, n.r, n.eap)
	}
	if l := &cfg.LocalRounds[0]; l.EAP == nil && len(l.PSK) == 0 && len(l.Credentials) == 0 {
		l.EAP = n.eap
	}
	var err error
	n.m, err = New(cfg)
	require.NoError(t, err)
	return n
}

// run carries out, and delivers what the gateway answers, until nothing moves.
func (n *network) run(out Outputs) {
	n.events = append(n.events, out.Events...)
	for _, p := range out.Packets {
		n.sent = append(n.sent, p)
		n.n[0]++
		if n.drop != nil && n.drop(true, n.n[0], p.Data) {
			continue
		}
		n.deliver(n.r.handle(p), p)
	}
	for _, w := range out.Work {
		if _, signs := w.(*SignRequest); n.hold && (!signs || !n.signs) {
			n.work = append(n.work, w)
			continue
		}
		n.run(n.m.Resume(n.now, w.Do(n.t.Context())))
	}
}

func (n *network) deliver(bs [][]byte, p Packet) {
	for _, b := range bs {
		n.n[1]++
		if n.drop != nil && n.drop(false, n.n[1], b) {
			continue
		}
		if n.hostile != nil {
			for _, h := range n.hostile(bytes.Clone(b)) {
				n.run(n.m.Handle(n.now, Datagram{From: p.To, To: p.From, Data: h}))
			}
		}
		n.run(n.m.Handle(n.now, Datagram{From: p.To, To: p.From, Data: b}))
	}
}

// fromGateway delivers a request of the gateway.
func (n *network) fromGateway(bs [][]byte) {
	path := n.m.Path()
	n.deliver(bs, Packet{From: path.Local, To: path.Remote})
}

// wait moves the clock to the next deadline and ticks.
func (n *network) wait() bool {
	at := n.m.NextDeadline()
	if at.IsZero() {
		return false
	}
	n.now = at
	n.run(n.m.Tick(at))
	return true
}

func (n *network) start() { n.run(n.m.Start(n.now)) }

func event[T Event](n *network) (v T, ok bool) {
	for _, e := range n.events {
		if v, ok = e.(T); ok {
			return v, true
		}
	}
	return v, false
}

func (n *network) failure() error {
	n.t.Helper()
	f, ok := event[Failed](n)
	require.True(n.t, ok, "no Failed event; log:\n%s", n.log.String())
	require.True(n.t, n.m.Done())
	require.True(n.t, n.m.NextDeadline().IsZero())
	return f.Err
}

func (n *network) established() (Established, *ChildSA) {
	n.t.Helper()
	e, ok := event[Established](n)
	require.True(n.t, ok, "not established; log:\n%s", n.log.String())
	c, ok := event[ChildEstablished](n)
	require.True(n.t, ok, "no CHILD_SA; log:\n%s", n.log.String())
	require.True(n.t, n.r.authOK)
	return e, c.Child
}
