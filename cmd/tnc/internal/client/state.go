package client

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/tnccs"
)

// Phases of the life of a connection, as Status has them.
const (
	Connecting   = "connecting"
	Up           = "up"
	Reconnecting = "reconnecting"
	Trapped      = "trapped" // waits for packets
)

// ikeRun is one IKE_SA of a connection.
type ikeRun struct {
	number int
	peers  []*eap.Peer        // of each round of this end that is EAP
	cancel context.CancelFunc // ends what the peers fetch
	sock   *transport.Conn    // that it runs on
	err    error              // why it ended

	spis map[uint32]bool // inbound ones, in the data plane; events' own
	up   bool            // its first CHILD_SA was installed; events' own

	session *tnccs.Session    // guarded by state.mu
	handle  *transport.Handle // guarded by state.mu
}

// state is what the goroutines of a connection share: the one that supervises,
// one an IKE_SA, those of the control socket. mu guards all of it, and is held
// for no longer than it takes to read or to write.
type state struct {
	mu sync.Mutex

	phase      string
	since      time.Time // when the newest IKE_SA came up
	attested   time.Time
	started    int // IKE_SAs so far
	timesUp    int // IKE_SAs that came up
	rekeyings  int
	reconnects int

	runs    []*ikeRun      // newest last
	current *ikeRun        // whose CHILD_SAs carry the packets
	session *tnccs.Session // the newest; nil until the gateway asks for attestation
	begun   bool           // session is of the newest IKE_SA

	children map[uint32]Child // by inbound SPI
	internal ike.Internal     // what the gateway assigned
	dnsVia   string           // what its name servers were given to
	result   Result           // its Attempts are those since it was last up
	next     time.Time        // when it is tried again; zero while it is tried
	retry    string           // what is tried again then: RetryConnection, RetryAttestation; "" = nothing
	decision Decision         // the newest
	failure  Failure          // of the newest event
}

// setDNSVia records what the name servers were given to; "" = to nothing.
func (s *state) setDNSVia(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dnsVia = what
}

func (s *state) setPhase(phase string) {
	s.mu.Lock()
	s.phase, s.next, s.retry = phase, time.Time{}, ""
	s.mu.Unlock()
}

// trying records that an address of the gateway is tried.
func (s *state) trying(remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Gateway, s.next = remote, time.Time{}
	s.phase = s.disconnected()
}

// waiting records when the gateway is tried again.
func (s *state) waiting(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.next, s.retry = s.disconnected(), until, RetryConnection
	s.reconnects++
}

// waitingToAttest records when a connection that is up is attested again, after a
// failure.
func (s *state) waitingToAttest(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.retry = until, RetryAttestation
}

// disconnected returns the phase of a connection that is not up. The caller holds
// mu.
func (s *state) disconnected() string {
	if s.timesUp > 0 {
		return Reconnecting
	}
	return Connecting
}

// maxAttempts bounds the attempts that are kept.
const maxAttempts = 32

// addAttempt records an address of the gateway that did not lead to a connection.
func (s *state) addAttempt(a Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Attempts = replaceAttempt(s.result.Attempts, a)
	s.result.Attempts = s.result.Attempts[max(0, len(s.result.Attempts)-maxAttempts):]
}

// update changes the result.
func (s *state) update(change func(*Result)) {
	s.mu.Lock()
	change(&s.result)
	s.mu.Unlock()
}

// addRun registers a new IKE_SA and numbers it.
func (s *state) addRun(r *ikeRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	s.begun = false
	r.number = s.started
	s.runs = append(s.runs, r)
}

// removeRun removes an IKE_SA that ended with its CHILD_SAs, and reports whether
// it carried the packets. Its session is closed unless it is the newest.
func (s *state) removeRun(r *ikeRun) (wasCurrent bool) {
	s.mu.Lock()
	s.runs = slices.DeleteFunc(s.runs, func(o *ikeRun) bool { return o == r })
	for spi := range r.spis {
		delete(s.children, spi)
	}
	if wasCurrent = s.current == r; wasCurrent {
		s.current = nil
	}
	old := r.session
	if old == s.session {
		old = nil
	}
	s.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return wasCurrent
}

// setCurrent records that r is up, with its first CHILD_SA, and returns the
// IKE_SA that it replaces; nil where there is none.
func (s *state) setCurrent(r *ikeRun, ch Child) (replaced *ikeRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timesUp++
	s.result.Attempts, s.next, s.retry = nil, time.Time{}, ""
	s.phase, s.result.Child, s.result.Up = Up, &ch, true
	s.since = time.Now()
	s.attested = s.since
	replaced, s.current = s.current, r
	if replaced == r {
		return nil
	}
	return replaced
}

// currentHandle acts on the IKE_SA that carries the packets; nil where none does.
func (s *state) currentHandle() *transport.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	return s.current.handle
}

func (s *state) handleOf(r *ikeRun) *transport.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.handle
}

// newestSession returns the newest session, nil before the first, and whether it
// is of the newest IKE_SA.
func (s *state) newestSession() (session *tnccs.Session, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session, s.begun
}

func (s *state) setHandle(r *ikeRun, h *transport.Handle) {
	s.mu.Lock()
	r.handle = h
	s.mu.Unlock()
}

// established records what an authenticated IKE_SA reports.
func (s *state) established(r *ikeRun, e ike.Established) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.GatewayID, s.result.IKEProposal, s.result.Gateway = e.RemoteID.String(), e.Suite, e.Remote
	r.session = s.session
}

// running returns how many IKE_SAs there are.
func (s *state) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.runs)
}

func (s *state) isCurrent(r *ikeRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current == r
}

func (s *state) setChild(spiIn uint32, ch Child) {
	s.mu.Lock()
	s.children[spiIn] = ch
	s.mu.Unlock()
}

func (s *state) childSPIs() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.children))
}

func (s *state) removeChild(spiIn uint32) {
	s.mu.Lock()
	delete(s.children, spiIn)
	s.mu.Unlock()
}

func (s *state) setInternal(i ike.Internal) {
	s.mu.Lock()
	s.internal = i
	s.mu.Unlock()
}

// addresses returns the virtual IPs.
func (s *state) addresses() []netip.Prefix { return s.assigned().Addresses }

// assigned returns what the gateway assigned.
func (s *state) assigned() ike.Internal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.internal
}
