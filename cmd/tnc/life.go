package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/config/swanctl"
	"github.com/gotnc/gotnc/internal/log"
	"github.com/gotnc/gotnc/tnccs"
)

// plane carries the packets of CHILD_SAs.
type plane interface {
	// start takes the first CHILD_SA, whose keys it zeroes when it is done.
	start(child *ike.ChildSA, sock *udp.Conn) error
	// install takes a further or rekeyed one; with standby it only receives.
	install(child *ike.ChildSA, standby bool) error
	activate(spiIn uint32)
	remove(spiIn uint32)
	moved(e ike.Moved) error
	// attach makes sock the way of the packets, after a reconnection too.
	attach(sock *udp.Conn)
	// close removes all that start made. It may be called without start.
	close() error
}

// Pauses of the life of a connection.
const (
	reconnectMin = time.Second
	reconnectMax = time.Minute
	reauthRetry  = 30 * time.Second
)

// errDown: somebody asked for the end, tnc down.
var errDown = errors.New("the connection was ended by tnc down")

// lifeState is what the goroutines of a connection share: one an IKE_SA, one
// that supervises, those of the control socket.
type lifeState struct {
	mu         sync.Mutex
	runs       []*ikeRun // newest last
	current    *ikeRun   // whose CHILD_SAs carry the packets
	reauth     chan string
	num        int // IKE_SAs so far
	ups        int // IKE_SAs that came to stand
	since      time.Time
	attested   time.Time
	rekeys     int
	reconnects int
	state      string
	children   map[uint32]*child // by inbound SPI
	redirects  []time.Time
	gateway    string     // where a REDIRECT sent us; "" = as configured
	from       netip.Addr // who sent us there
	internal   ike.Internal
}

// ikeRun is one IKE_SA of a connection.
type ikeRun struct {
	num     int
	peer    *eap.Peer
	session *tnccs.Session
	handle  *udp.Handle
	spis    map[uint32]bool // inbound ones, in the data plane
	up      bool
	err     error
}

// connect makes the connection; where it is to stay it is kept up as
// keyingtries, dpd_action and close_action say.
func (c *connection) connect(ctx context.Context) error {
	c.life.reauth = make(chan string, 1)
	c.life.children = map[uint32]*child{}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.end = cancel
	if c.guard != nil {
		if err := c.guard.serve(c); err != nil {
			return err
		}
	}
	tries, wait := 0, reconnectMin
	for {
		c.setState("connecting")
		before := c.life.ups
		err := c.attempt(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.failure != nil {
			return c.failure
		}
		var redirect *ike.RedirectError
		if errors.As(err, &redirect) {
			if err := c.follow(redirect); err != nil {
				return err
			}
			continue
		}
		if !c.stay {
			return err
		}
		if c.life.ups != before {
			tries, wait = 0, reconnectMin
		}
		if !c.again(err, &tries) {
			return err
		}
		c.setState("reconnecting")
		c.life.mu.Lock()
		c.life.reconnects++
		c.life.mu.Unlock()
		log.Group(c.logger, log.IKE).Info(fmt.Sprintf("%v; connecting again in %v", err, wait))
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		wait = min(wait*2, reconnectMax)
	}
}

// again decides whether to connect again after err.
func (c *connection) again(err error, tries *int) bool {
	ch := c.firstChild()
	c.life.mu.Lock()
	wasUp := !c.life.since.IsZero()
	c.life.mu.Unlock()
	lost := errors.Is(err, ike.ErrNoAnswer) || errors.Is(err, ike.ErrTimeout) || errors.Is(err, ike.ErrMoved) || errors.Is(err, ike.ErrExpired)
	if !wasUp {
		*tries++
		return lost && (c.conn.KeyingTries == 0 || *tries < c.conn.KeyingTries)
	}
	starts := func(action string) bool { return action != "" && action != "none" && action != "clear" }
	switch {
	case errors.Is(err, ike.ErrPeerDeleted):
		return ch != nil && starts(ch.CloseAction)
	case lost:
		return ch != nil && starts(ch.DPDAction)
	case err == nil:
		return false
	}
	// While reconnecting: what cannot get better by itself ends it.
	return ch != nil && starts(ch.DPDAction) && !errors.Is(err, ike.ErrAuthFailed) && !errors.Is(err, ike.ErrGatewayAuth) && !errors.Is(err, ike.ErrEAP) && !errors.Is(err, ike.ErrProposal)
}

// follow takes a REDIRECT to heart, at most so often (RFC 5685 §4).
func (c *connection) follow(r *ike.RedirectError) error {
	now := time.Now()
	c.life.redirects = slices.DeleteFunc(c.life.redirects, func(t time.Time) bool {
		return now.Sub(t) > ike.RedirectPeriodSeconds*time.Second
	})
	if len(c.life.redirects) >= ike.MaxRedirects {
		return fmt.Errorf("%w: that is the %dth redirect within %d s, the gateways send us in circles", r, ike.MaxRedirects+1, ike.RedirectPeriodSeconds)
	}
	c.life.redirects = append(c.life.redirects, now)
	c.life.gateway, c.life.from = r.To, r.From
	return nil
}

// attempt opens the sockets and keeps IKE_SAs on them until none is left.
func (c *connection) attempt(ctx context.Context) error {
	remote, local, err := c.addresses(ctx)
	if err != nil {
		return err
	}
	if c.life.gateway != "" {
		a, err := resolve(ctx, c.life.gateway)
		if err != nil {
			return fmt.Errorf("find the gateway that we were redirected to: %w", err)
		}
		remote = netip.AddrPortFrom(a, remote.Port())
	}
	c.out.Gateway = remote.String()
	sock, err := c.open(remote, local)
	if err != nil {
		return err
	}
	c.sock = sock
	defer sock.Close()
	c.plane.attach(sock)
	c.progress.note("connecting to %s", remote)

	ends := make(chan *ikeRun, 8)
	running := 0
	begin := func(first bool) error {
		r, cfg, err := c.newRun(remote, first)
		if err != nil {
			return err
		}
		running++
		go func() {
			r.err = sock.RunWith(ctx, cfg, func(e ike.Event) { c.event(r, e) }, func(h *udp.Handle) {
				c.life.mu.Lock()
				r.handle = h
				c.life.mu.Unlock()
			})
			ends <- r
		}()
		return nil
	}
	if err := begin(true); err != nil {
		return err
	}
	var result error
	var retry, attest <-chan time.Time
	if c.reattest > 0 {
		t := time.NewTicker(c.reattest)
		defer t.Stop()
		attest = t.C
	}
	successor := func() bool { return running > 1 }
	next := func(why string) {
		if successor() {
			return
		}
		log.Group(c.logger, log.IKE).Info(fmt.Sprintf("making a new IKE_SA for connection '%s': %s", c.conn.Name, why))
		if err := begin(false); err != nil {
			log.Group(c.logger, log.IKE).Warn(err.Error())
			retry = time.After(reauthRetry)
		}
	}
	for running > 0 {
		select {
		case r := <-ends:
			running--
			wasCurrent := c.ended(r)
			if wasCurrent || running == 0 {
				if r.err != nil || running == 0 {
					result = r.err
				}
			} else if !r.up && ctx.Err() == nil {
				log.Group(c.logger, log.IKE).Warn(fmt.Sprintf("reauthentication failed: %v; the connection stays as it is, next try in %v", r.err, reauthRetry))
				retry = time.After(reauthRetry)
			}
		case why := <-c.life.reauth:
			next(why)
		case <-retry:
			retry = nil
			next("the last try failed")
		case <-attest:
			next("it is time to attest again")
		case <-c.wanted():
			next("an IMC asks for a new handshake")
		}
	}
	return result
}

// wanted receives when an IMC of the current session asks for a new handshake;
// nil, which never receives, where there is none.
func (c *connection) wanted() <-chan struct{} {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if !c.stay || c.life.current == nil || c.life.current.session == nil {
		return nil
	}
	return c.life.current.session.Wanted()
}

// newRun prepares an IKE_SA. Later ones take over from the one before, so they
// do not tell the gateway to forget it.
func (c *connection) newRun(remote netip.AddrPort, first bool) (*ikeRun, ike.Config, error) {
	cfg, peer, err := c.ikeConfig()
	if err != nil {
		return nil, cfg, err
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.num++
	cfg.ID = c.life.num
	cfg.NoInitialContact = cfg.NoInitialContact || !first
	cfg.FragmentSize = c.charon.FragmentSizeV4
	if remote.Addr().Is6() {
		cfg.FragmentSize = c.charon.FragmentSizeV6
	}
	cfg.NoMOBIKE = !c.conn.MOBIKE
	cfg.FollowRedirects = c.charon.FollowRedirects
	cfg.RedirectedFrom = c.life.from
	cfg.ForceEncap = c.conn.Encap || c.needsUDP
	cfg.RekeyTime, cfg.OverTime, cfg.RandTime = c.conn.RekeyTime, c.conn.OverTime, c.conn.RandTime
	cfg.ReauthTime = c.conn.ReauthTime
	cfg.KeyLog = c.keylog
	c.out.Identity = cfg.LocalID.String()
	r := &ikeRun{num: c.life.num, peer: peer, spis: map[uint32]bool{}}
	c.life.runs = append(c.life.runs, r)
	return r, cfg, nil
}

// ended takes a finished IKE_SA out, and reports whether it carried the
// packets.
func (c *connection) ended(r *ikeRun) (wasCurrent bool) {
	c.keyed = c.keyed || r.peer != nil && r.peer.MSK() != nil
	if r.peer != nil {
		r.peer.Close()
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.runs = slices.DeleteFunc(c.life.runs, func(o *ikeRun) bool { return o == r })
	for spi := range r.spis {
		c.plane.remove(spi)
		delete(c.life.children, spi)
	}
	if wasCurrent = c.life.current == r; wasCurrent {
		c.life.current = nil
	} else if r.session != nil && r.session != c.session {
		_ = r.session.Close()
	}
	return wasCurrent
}

// giveUp ends everything because of err.
func (c *connection) giveUp(err error) {
	if c.failure == nil {
		c.failure = err
	}
	c.sock.Stop()
}

// event follows what an IKE_SA tells.
func (c *connection) event(r *ikeRun, e ike.Event) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	switch e := e.(type) {
	case ike.Established:
		c.out.GatewayID, c.out.IKEProposal = e.RemoteID.String(), e.Suite
		c.out.Gateway = e.Remote.String()
		r.session = c.session
	case ike.ChildEstablished:
		c.childUp(r, e.Child)
	case ike.ChildRekeyed:
		c.life.rekeys++
		if err := c.plane.install(e.Child, e.Standby); err != nil {
			c.giveUp(err)
			return
		}
		r.spis[e.Child.SPIIn] = true
		c.noteChild(e.Child)
	case ike.ChildActive:
		c.plane.activate(e.SPIIn)
	case ike.Rekeyed:
		c.life.rekeys++
		c.out.IKEProposal = e.Suite
	case ike.Moved:
		c.out.Gateway = e.Path.Remote.String()
		if err := c.plane.moved(e); err != nil {
			log.Group(c.logger, log.KNL).Warn(err.Error())
		}
		if _, kernel := c.plane.(*kernelPlane); kernel && r.handle != nil {
			r.handle.RekeyChildren()
		}
	case ike.ReauthDue:
		select {
		case c.life.reauth <- e.Reason:
		default:
		}
	case ike.ChildFailed:
		if r.up {
			log.Group(c.logger, log.CHD).Warn(e.Err.Error())
			return
		}
		if len(c.life.runs) > 1 { // the old one goes on
			r.handle.Delete()
			return
		}
		c.giveUp(e.Err)
	case ike.ChildClosed:
		c.plane.remove(e.SPIIn)
		delete(r.spis, e.SPIIn)
		delete(c.life.children, e.SPIIn)
		if e.Rekeyed || !c.stay || c.failure != nil || len(r.spis) > 0 || r != c.life.current {
			return
		}
		if ch := c.firstChild(); ch != nil && ch.CloseAction != "" && ch.CloseAction != "none" && ch.CloseAction != "clear" {
			return // the Machine sets it up again
		}
		c.giveUp(errors.New("the gateway closed the CHILD_SA: connect again with tnc up " + c.conn.Name))
	}
}

func (c *connection) noteChild(sa *ike.ChildSA) *child {
	ch := &child{
		Name:     sa.Name,
		SPIIn:    fmt.Sprintf("%08x", sa.SPIIn),
		SPIOut:   fmt.Sprintf("%08x", sa.SPIOut),
		Proposal: sa.ESP.String(),
		LocalTS:  selectorNames(sa.LocalTS),
		RemoteTS: selectorNames(sa.RemoteTS),
	}
	c.life.children[sa.SPIIn] = ch
	return ch
}

// childUp takes a new CHILD_SA: the first one of the connection, a further one,
// or the first one of an IKE_SA that takes over.
func (c *connection) childUp(r *ikeRun, sa *ike.ChildSA) {
	ch := c.noteChild(sa)
	carrying := c.planeUp && slices.Equal(c.life.internal.Addresses, sa.Internal.Addresses)
	var err error
	if carrying {
		err = c.plane.install(sa, false)
	} else {
		if c.planeUp {
			log.Group(c.logger, log.KNL).Info("the virtual IPs changed, making the data plane anew")
			c.hooks.down()
			err = c.plane.close()
			c.planeUp = false
		}
		if err == nil && c.guard != nil {
			c.left = leftovers{Gateway: sa.Remote, Table: c.charon.RoutingTable, Priority: c.charon.RoutingTablePrio}
			if _, kernel := c.plane.(*kernelPlane); kernel {
				for _, a := range sa.Internal.Addresses {
					c.left.Addresses = append(c.left.Addresses, a.Addr())
				}
			}
			err = c.guard.note(c.left)
		}
		if err == nil {
			err = c.plane.start(sa, c.sock)
		}
	}
	if err != nil {
		c.giveUp(err)
		return
	}
	r.spis[sa.SPIIn] = true
	if !carrying {
		c.planeUp = true
		c.life.internal = sa.Internal
		if err := c.hooks.up(c, sa); err != nil {
			log.Group(c.logger, log.CFG).Warn(err.Error())
		}
	}
	if r.up {
		return // a further one
	}
	r.up = true
	c.life.ups++
	c.out.Child = ch
	c.life.since, c.life.attested = time.Now(), time.Now()
	c.life.state = "up"
	before := c.life.current
	c.life.current = r
	if before != nil && before != r && before.handle != nil {
		before.handle.Delete() // make before break
	}
	again := c.up
	c.up = true
	c.settle()
	c.progress.end()
	c.out.setExit(nil)
	if c.ready != nil && !again {
		c.ready(&c.out)
	}
	if !c.stay {
		c.sock.Stop()
	}
}

func (c *connection) setState(s string) {
	c.life.mu.Lock()
	c.life.state = s
	c.life.mu.Unlock()
}

// firstChild is the CHILD_SA that is set up with the IKE_SA; nil where none is
// configured.
func (c *connection) firstChild() *swanctl.Child {
	if l := c.children(); len(l) > 0 {
		return l[0]
	}
	return nil
}

// children are those to set up: those with a start_action, or all where none
// has one.
func (c *connection) children() []*swanctl.Child {
	var out []*swanctl.Child
	for _, ch := range c.conn.Children {
		if ch.StartAction != "" && ch.StartAction != "none" {
			out = append(out, ch)
		}
	}
	if len(out) == 0 {
		return c.conn.Children
	}
	return out
}

func (c *connection) childConfig(cfg *ike.Config) error {
	all := c.children()
	if len(all) == 0 {
		return c.conn.Pos.Errorf("connection %q has no child: add children { %s { remote_ts = … } }", c.conn.Name, c.conn.Name)
	}
	for i, ch := range all {
		if ch.Mode != "tunnel" {
			return ch.Pos.Errorf("child %q: mode = %s is not supported: use tunnel", ch.Name, ch.Mode)
		}
		cc := ike.ChildConfig{
			Name: ch.Name, Proposals: ch.ESPProposals, RekeyTime: ch.RekeyTime, LifeTime: ch.LifeTime, RandTime: ch.RandTime,
			Restart: ch.CloseAction != "" && ch.CloseAction != "none" && ch.CloseAction != "clear",
		}
		if ch.RekeyTime == 0 && ch.LifeTime == 0 {
			cc.RandTime = 0
		}
		for _, ts := range ch.LocalTS {
			cc.LocalTS = append(cc.LocalTS, selector(ts))
		}
		for _, ts := range ch.RemoteTS {
			cc.RemoteTS = append(cc.RemoteTS, selector(ts))
		}
		if i == 0 {
			cfg.Child = cc
		} else {
			cfg.Children = append(cfg.Children, cc)
		}
	}
	return nil
}
