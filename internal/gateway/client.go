package gateway

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway/eapserver"
	"github.com/gotnc/gotnc/tnccs/server"
)

// client is one connection, the responder's side: its IKE_SA, those that rekeying
// replaced and that are not deleted yet, and its CHILD_SAs. Gateway.mu guards it.
type client struct {
	*ikeSA // the current one
	old    []*ikeSA

	g       *Gateway
	addr    netip.AddrPort
	started time.Time
	report  ClientReport

	initRequest, initResponse []byte
	ni, nr                    []byte
	fragmentation             bool
	intermediate              intermediate
	hashes                    []signature.Hash // that the client verifies signatures with (RFC 7427); nil = it announced none

	answered int  // protected answers so far
	mobike   bool // the client announced it
	// initialContact: the client has no other IKE_SA with us.
	initialContact bool

	idi      message.Identity
	idr      message.Identity
	wanted   *childRequest
	eap      *eapserver.Server
	eapDone  bool
	verifier *imv.Verifier
	pb       *server.Session

	children  []*childSA // in the order in which they were made
	early     []string   // SPIs of DELETEs that came before the answer which tells of them
	virtualIP netip.Addr

	rekeyIKEAt       time.Time // when a rekeying that was refused is tried again
	nextDPD          time.Time
	deleteAt, freeAt time.Time
	freed            bool
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

// dispatch hands a request of the client to what answers it.
func (c *client) dispatch(now time.Time, s *ikeSA, m *message.Message) {
	switch m.Exchange {
	case message.IKEIntermediate:
		c.handleIntermediate(now, m)
	case message.IKEAuth:
		c.handleAuth(now, m)
	case message.Informational:
		c.handleInformational(now, s, m)
	case message.CreateChildSA:
		c.handleCreate(now, s, m)
	case message.IKEFollowupKE:
		s.handleFollowUp(now, m)
	default:
		s.respond(m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
	}
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
	}
	for _, s := range slices.Clone(c.old) {
		if due(s.dropAt, now) || !s.retransmit(now) {
			c.forget(s)
		}
	}
	if !c.retransmit(now) {
		c.deleted(now)
		c.free()
		return
	}
	c.expire(now)
	c.tickChildren(now)
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
		c.request(now, &ownRequest{exchange: message.Informational})
	}
}

// free zeroes keys; the report stays.
func (c *client) free() {
	if c.freed {
		return
	}
	c.report = c.snapshot()
	c.freed = true
	c.dropChildren()
	if c.made != nil {
		c.old = append(c.old, c.made.sa)
	}
	for _, s := range append(c.old, c.ikeSA) {
		delete(c.g.bySPI, s.spi())
		s.zero()
	}
	if c.eap != nil {
		c.eap.Close()
	}
	c.eap, c.pb, c.verifier = nil, nil, nil
}

// random4 returns a random SPI for ESP, from 256 on.
func (g *Gateway) random4() ([]byte, error) {
	b := make([]byte, 4)
	if _, err := io.ReadFull(g.cfg.Rand, b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x0f | 0xc0
	return b, nil
}

// due reports whether a timer has run out; zero = it does not run.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
