package ike

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// state is where an IKE_SA stands.
type state uint8

const (
	stateCreated      state = iota // nothing sent
	stateInit                      // IKE_SA_INIT request is out
	stateIntermediate              // IKE_INTERMEDIATE request is out
	stateAuth                      // IKE_AUTH request without EAP is out
	stateVerify                    // the gateway's certificate is being verified; nothing is out
	stateEAP                       // IKE_AUTH request with EAP is out
	stateEAPPending                // EAP makes its answer; nothing is out
	stateAuthFinal                 // IKE_AUTH request with AUTH is out
	stateEstablished               // both sides are authenticated
	stateDeleting                  // our DELETE waits or is out
	stateDone
)

func (s state) String() string {
	return [...]string{"CREATED", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "ESTABLISHED", "DELETING", "DESTROYING"}[s]
}

// Machine is one IKE_SA as initiator. It has no socket, clock or goroutine:
// the caller hands in time and datagrams and carries out the Outputs. Not
// safe for concurrent use.
//
//	CREATED -> IKE_SA_INIT -> [IKE_INTERMEDIATE …] -> IKE_AUTH [IDi SA TS] -> IKE_AUTH [EAP] … -> IKE_AUTH [AUTH] -> ESTABLISHED -> DELETING -> done
//
// With a signature or preshared key of ours the first IKE_AUTH carries AUTH, and
// no EAP follows; with several rounds (RFC 4739) IKE_AUTH begins again with IDi.
type Machine struct {
	cfg                      Config
	ike, enc, net, chd, conf *slog.Logger
	rand                     io.Reader

	state state
	now   time.Time
	out   Outputs

	local, remote       netip.AddrPort
	marker              bool
	natLocal, natRemote bool
	natt                bool // the peer takes part in NAT traversal

	ikeProposals, espProposals []message.Proposal
	wanted                     []*childConfig // further CHILD_SAs to set up
	wantedAt                   time.Time      // not before
	configured                 []*childConfig
	assigned                   Internal
	loggedKeys                 *crypto.IKEKeys
	redirectTo                 string // where an INFORMATIONAL request sends us
	*ikeSA                            // the current one
	aside                      bool
	old                        []*ikeSA // rekeyed ones that wait for their DELETE
	ni, nr                     []byte
	cookie                     []byte
	cookies                    int
	ke                         crypto.KeyExchange
	triedKE                    map[message.KEMethod]bool
	initRequest, initResponse  []byte
	intAuth                    intermediate
	fragments                  bool

	idiBody, idrBody []byte
	localID          Identity // of the current round
	remoteID         Identity
	localRound       int              // rounds of ours that are done
	remoteRound      int              // rounds that the gateway has proved
	identified       int              // rounds that the gateway has said its identity in
	remoteOpen       bool             // the gateway has another round
	signed           bool             // a round was proved by signature or preshared key
	verifying        *verifying       // in stateVerify
	idle             int              // exchanges that only waited for the gateway's rounds
	multiAuth        bool             // the gateway knows RFC 4739
	peerHashes       []signature.Hash // of the gateway's SIGNATURE_HASH_ALGORITHMS; nil = it sent none
	ocspAsked        bool             // and OCSP responses beside it
	certAsked        bool             // the gateway sent CERTREQ
	certAuthorities  [][]byte         // that it asked for
	ppk              bool             // the gateway takes a PPK
	ppkAsked         bool             // the request that is out names the PPK
	eapRounds        int
	eapErr           error // the EAP failure that the gateway is being told of

	spiIn    uint32 // of the CHILD_SA asked for
	localTS  []TrafficSelector
	remoteTS []TrafficSelector
	children []*childState

	answered int       // requests of ours that were answered
	queue    []request // what waits for the one that is out

	life      lifetimes
	peerRekey *peerIKE      // the peer rekeyed the IKE_SA while our rekeying is out
	follow    *peerFollowUp // of the peer's last CREATE_CHILD_SA; nil = none
	mobility  mobility
	numbers   int // IKE_SAs so far, for the log
	childNum  int

	establishBy time.Time
	lastIn      time.Time // last sign of life, authenticated
	dropped     string    // why the last datagram was dropped, for the error after giving up
}

// New checks cfg and returns a Machine that has sent nothing yet.
func New(cfg Config) (*Machine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m := &Machine{
		cfg: cfg, rand: cfg.Rand, triedKE: map[message.KEMethod]bool{},
		ike: log.Group(cfg.Logger, log.IKE), enc: log.Group(cfg.Logger, log.ENC), net: log.Group(cfg.Logger, log.NET),
		chd: log.Group(cfg.Logger, log.CHD), conf: log.Group(cfg.Logger, log.CFG),
		local: cfg.Local, remote: cfg.Remote,
		ikeSA: &ikeSA{initiator: true, num: cfg.ID}, numbers: cfg.ID,
	}
	if m.rand == nil {
		m.rand = rand.Reader
	}
	if m.remote.Port() != PortIKE {
		m.marker, m.local = true, cfg.LocalNATT
	}
	var err error
	if m.ikeProposals, err = proposals(message.ProtocolIKE, cfg.Proposals); err != nil {
		return nil, fmt.Errorf("ike: proposals of %s: %w", cfg.Name, err)
	}
	if m.espProposals, err = proposals(message.ProtocolESP, cfg.Child.Proposals); err != nil {
		return nil, fmt.Errorf("ike: esp_proposals of %s: %w", cfg.childName(), err)
	}
	if m.wanted, err = m.wantedChildren(); err != nil {
		return nil, err
	}
	m.localID = cfg.LocalRounds[0].ID
	return m, nil
}

func proposals(p message.ProtocolID, list []string) ([]message.Proposal, error) {
	if len(list) == 0 {
		if p == message.ProtocolIKE {
			return crypto.DefaultIKE(), nil
		}
		return crypto.DefaultESP(), nil
	}
	return crypto.ParseProposals(p, list)
}

func (c *Config) childName() string {
	if c.Child.Name != "" {
		return c.Child.Name
	}
	return c.Name
}

func (m *Machine) name() string { return fmt.Sprintf("%s[%d]", m.cfg.Name, m.num) }

// begin and end frame every call.
func (m *Machine) begin(now time.Time) { m.now, m.out = now, Outputs{} }

func (m *Machine) end() Outputs {
	m.logKeys()
	m.followRedirect()
	m.flushQueue()
	m.startDue()
	out := m.out
	m.out = Outputs{}
	return out
}

func (m *Machine) emit(e Event) { m.out.Events = append(m.out.Events, e) }

// Start sends IKE_SA_INIT. It may be called once.
func (m *Machine) Start(now time.Time) Outputs {
	m.begin(now)
	if m.state != stateCreated {
		return m.end()
	}
	m.establishBy = now.Add(m.cfg.EstablishTimeout)
	log.Infof(m.ike, "initiating IKE_SA %s to %s", m.name(), m.remote.Addr())
	if err := m.startInit(); err != nil {
		m.fail(err)
	}
	return m.end()
}

// Handle processes one datagram. What cannot be used is logged and dropped.
func (m *Machine) Handle(now time.Time, d Datagram) Outputs {
	m.begin(now)
	if m.state != stateCreated && m.state != stateDone {
		m.receive(d)
	}
	return m.end()
}

// ResumeEAP delivers the answer of an EAP.Handle that returned EAPPending.
// Ownership of response passes for the time of the call.
func (m *Machine) ResumeEAP(now time.Time, response []byte, status EAPStatus, err error) Outputs {
	m.begin(now)
	if m.state == stateEAPPending {
		m.eapAnswer(response, status, err)
	}
	return m.end()
}

// Tick carries out what is due at now: retransmission, dead peer detection,
// giving up. To call it too early does nothing.
func (m *Machine) Tick(now time.Time) Outputs {
	m.begin(now)
	switch {
	case m.state == stateCreated || m.state == stateDone:
	case m.connecting() && !now.Before(m.establishBy):
		m.fail(fmt.Errorf("%w: %s are over", ErrTimeout, m.cfg.EstablishTimeout))
	case m.pending != nil:
		if !now.Before(m.pending.due) {
			m.retransmit()
		}
	case m.state == stateEstablished && m.cfg.DPDDelay > 0 && !now.Before(m.lastIn.Add(m.cfg.DPDDelay)):
		m.sendDPD()
	}
	m.tickLife()
	return m.end()
}

// NextDeadline returns when Tick wants to be called next; zero = never.
func (m *Machine) NextDeadline() time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if m.state == stateCreated || m.state == stateDone {
		return at
	}
	if m.connecting() {
		earlier(m.establishBy)
	}
	if m.pending != nil {
		earlier(m.pending.due)
	} else if m.state == stateEstablished && m.cfg.DPDDelay > 0 {
		earlier(m.lastIn.Add(m.cfg.DPDDelay))
	}
	m.lifeDeadlines(earlier)
	return at
}

// Alive notes that the peer showed life outside IKE: an ESP packet that
// authenticated at the given time. It puts dead peer detection off.
func (m *Machine) Alive(at time.Time) {
	if at.After(m.lastIn) {
		m.lastIn = at
	}
}

// Delete starts the orderly end: DELETE is sent, and Closed follows with the
// answer, or when the retransmissions end. Before the IKE_SA is established it
// ends at once and without a packet, as in strongSwan.
func (m *Machine) Delete(now time.Time) Outputs {
	m.begin(now)
	switch {
	case m.state == stateEstablished:
		m.state = stateDeleting
		log.Infof(m.ike, "deleting IKE_SA %s between %s", m.name(), m.ends())
		m.ike.Info("sending DELETE for IKE_SA " + m.name())
		m.request(request{exchange: message.Informational, what: doDelete,
			payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}})
	case m.state != stateDone && m.state != stateDeleting:
		if m.state != stateCreated {
			log.Infof(m.ike, "destroying IKE_SA in state %s without notification", m.state)
		}
		m.finish(Closed{})
	}
	return m.end()
}

// Close forgets all keys without sending anything. The Machine is finished.
// It may be called again.
func (m *Machine) Close() {
	m.state = stateDone
	m.queue = nil
	if m.ke != nil {
		m.ke.Zero()
		m.ke = nil
	}
	m.zeroAll()
	clear(m.ni)
	clear(m.nr)
}

// Done reports whether the Machine is finished.
func (m *Machine) Done() bool { return m.state == stateDone }

// Path is the way that datagrams take now.
type Path struct {
	Local, Remote       netip.AddrPort
	Marker              bool // IKE goes behind the non-ESP marker; ESP may go in UDP
	NATLocal, NATRemote bool // who is behind a NAT; NATLocal also where ForceEncap says so
}

// Path returns the way that datagrams take now. It is settled with the answer
// to IKE_SA_INIT.
func (m *Machine) Path() Path {
	return Path{Local: m.local, Remote: m.remote, Marker: m.marker, NATLocal: m.natLocal, NATRemote: m.natRemote}
}

// connecting reports whether the IKE_SA is not established yet.
func (m *Machine) connecting() bool { return m.state > stateCreated && m.state < stateEstablished }

// ends writes both ends as strongSwan does.
func (m *Machine) ends() string {
	return fmt.Sprintf("%s[%s]...%s[%s]", m.local.Addr(), m.localID, m.remote.Addr(), m.remoteID)
}

// fail ends the IKE_SA with a reason.
func (m *Machine) fail(err error) {
	if m.state == stateDone {
		return
	}
	if m.connecting() {
		m.ike.Info("establishing IKE_SA failed: " + err.Error())
	}
	m.finish(Failed{Err: err})
}

func (m *Machine) finish(e Event) {
	if m.state == stateDone {
		return
	}
	m.emit(e)
	m.Close()
}

// failNotify tells the gateway that we reject its authentication, or ended
// ours, then ends the IKE_SA (RFC 7296 §2.21.2). Nothing waits for the answer.
func (m *Machine) failNotify(err error) {
	if m.prot != nil {
		m.pending = nil
		m.request(request{exchange: message.Informational,
			payloads: []message.Payload{&message.Notify{NotifyType: message.AuthenticationFailed}}})
	}
	m.fail(err)
}

func (m *Machine) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(m.rand, b); err != nil {
		return nil, fmt.Errorf("read random octets: %w", err)
	}
	return b, nil
}

// clone keeps what the caller owns.
func clone(b []byte) []byte { return bytes.Clone(b) }

// Exchanges returns how many requests of ours were answered so far,
// IKE_SA_INIT among them.
func (m *Machine) Exchanges() int { return m.answered }
