package client

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
)

// attempt is one pair of sockets, or one TCP connection, with the IKE_SAs on it.
type attempt struct {
	*Client
	to      endpoint
	ends    chan *ikeRun // receives IKE_SAs that ended
	running int
	newest  *ikeRun          // the one that was begun last; nil = it has ended
	due     string           // why a new IKE_SA is to be made after the one that is being made, unless that comes up
	retry   <-chan time.Time // when to try a new IKE_SA again; nil = not
	asked   asked            // new IKE_SAs that IMCs ask for
	result  error            // why the IKE_SA that carried the packets ended
	silent  bool             // the gateway did not answer quickly

	udp       *transport.Conn  // on which UDP is tried while TCP is in use; nil = it is not
	udpSilent <-chan time.Time // when that has been silent for long enough
}

// attempt opens the sockets to an address of the gateway and keeps IKE_SAs on them
// until none is left. patience, where set, bounds the wait for the first answer.
func (c *Client) attempt(ctx context.Context, e endpoint, patience time.Duration) (err error) {
	c.state.trying(e.remote)
	sock, err := c.open(ctx, e)
	if err != nil {
		return err
	}
	c.sock.Store(sock)
	defer func() { _ = c.sock.Load().Close() }()
	c.warnPlane(c.plane.Attach(sock))
	c.movePlane(e.remote)
	c.progress("connecting to %s", e)

	a := &attempt{Client: c, to: e, ends: make(chan *ikeRun, 8)}
	if err := a.begin(ctx, sock, true); err != nil {
		return err
	}
	udpAgain, stop := a.udpTicker()
	defer stop()
	var attest <-chan time.Time
	if c.cfg.Reattest > 0 {
		t := time.NewTicker(c.cfg.Reattest)
		defer t.Stop()
		attest = t.C
	}
	var silent <-chan time.Time
	if patience > 0 {
		silent = time.After(patience)
	}
	for a.running > 0 {
		select {
		case <-silent:
			if sock.Stats().BytesReceived == 0 {
				a.silent = true
				sock.Stop()
			}
		case r := <-a.ends:
			a.ended(ctx, r)
		case why := <-c.reauth:
			a.replace(ctx, why)
		case <-c.switched: // another session may ask for a handshake
		case <-c.trap.traffic:
			c.initiateChildren()
		case <-a.retry:
			a.retry = nil
			a.replace(ctx, "the last try failed")
		case <-attest:
			a.replace(ctx, "it is time to attest again")
		case <-c.handshakeWanted():
			a.handshakeAsked()
		case <-a.asked.due:
			a.asked.due = nil
			a.replace(ctx, "an IMC asks for a new handshake")
		case <-udpAgain:
			a.tryUDP(ctx)
		case <-a.udpSilent:
			a.endUDPIfSilent()
		}
	}
	if a.silent && a.result == nil {
		return errSilent
	}
	return a.result
}

// movePlane gives a data plane that outlived an IKE_SA the addresses of the next one,
// whose packets it leaves out of the tunnel.
func (c *Client) movePlane(remote netip.AddrPort) {
	if !c.planeUp {
		return
	}
	if c.record.Gateway.IsValid() && c.record.Gateway != remote {
		c.record.Gateway = remote
		c.warnPlane(c.runDir.save(c.record))
	}
	if err := c.plane.Move(ike.Moved{Path: ike.Path{Local: c.sock.Load().LocalNATT(), Remote: remote}}); !errors.Is(err, dataplane.ErrRekey) {
		c.warnPlane(err)
	}
}

// begin starts an IKE_SA on a socket. Later ones take over from the previous one, so
// they do not ask the gateway to forget it.
func (a *attempt) begin(ctx context.Context, sock *transport.Conn, first bool) error {
	fetching, cancel := context.WithCancel(ctx)
	cfg, peers, err := a.builder.Config(fetching, sock.Local().Addr())
	if err != nil {
		cancel()
		return err
	}
	r := &ikeRun{peers: peers, cancel: cancel, spis: map[uint32]bool{}, sock: sock}
	a.state.addRun(r)
	cfg.ID = r.number
	packet := a.trap.take()
	for i := range cfg.Children {
		cfg.Children[i].Trigger = packet
	}
	cfg.VirtualIPs.Last = a.lastIPs()
	cfg.Authentication.NoInitialContact = cfg.Authentication.NoInitialContact || !first
	cfg.Fragmentation.Size = a.profile.Charon.FragmentSizeV4
	if a.to.remote.Addr().Is6() {
		cfg.Fragmentation.Size = a.profile.Charon.FragmentSizeV6
	}
	cfg.Redirects.From = a.redirects.from
	cfg.ForceEncap = cfg.ForceEncap || a.plane.Info().UDPOnly
	cfg.KeyLog = a.cfg.KeyLog
	a.state.update(func(r *Result) { r.Identity = cfg.LocalRounds[0].ID.String() })
	a.running++
	a.newest, a.due = r, ""
	go func() {
		r.err = sock.RunWith(ctx, cfg, func(e ike.Event) { a.event(r, e) }, func(h *transport.Handle) { a.state.setHandle(r, h) })
		a.ends <- r
	}()
	return nil
}

// lastIPs returns the virtual IPs that the connection has, or that its last run had.
func (a *attempt) lastIPs() (ips []netip.Addr) {
	for _, p := range a.state.addresses() {
		ips = append(ips, p.Addr())
	}
	if ips == nil {
		return a.runDir.last()
	}
	return ips
}

// maxLingering bounds the IKE_SAs whose DELETE the gateway leaves unanswered beside the
// one that took over, before another takes over from that.
const maxLingering = 4

// replace makes a new IKE_SA that takes over. Where one is being made already, that
// will do if it comes up.
func (a *attempt) replace(ctx context.Context, why string) {
	if a.isMaking() {
		a.due = why
		return
	}
	if a.running > maxLingering {
		log.Warnf(log.Group(a.logger, log.IKE), "the gateway left %d DELETEs unanswered; a new IKE_SA is made in %v: %s", a.running-1, reauthRetry, why)
		a.retry = time.After(reauthRetry)
		return
	}
	log.Infof(log.Group(a.logger, log.IKE), "making a new IKE_SA for connection '%s': %s", a.profile.Connection.Name, why)
	if err := a.begin(ctx, a.sock.Load(), false); err != nil {
		log.Group(a.logger, log.IKE).Warn(err.Error())
		a.retryAttestation(err)
	}
}

// isMaking reports whether an IKE_SA was begun that is not up yet.
func (a *attempt) isMaking() bool {
	a.events.Lock()
	defer a.events.Unlock()
	return a.newest != nil && !a.newest.up
}

// ended removes an IKE_SA that has ended.
func (a *attempt) ended(ctx context.Context, r *ikeRun) {
	a.running--
	r.cancel()
	for _, p := range r.peers {
		a.keyed = a.keyed || p.MSK() != nil
		p.Close()
	}
	a.events.Lock()
	for spi := range r.spis {
		a.warnPlane(a.plane.Remove(spi))
	}
	a.events.Unlock()
	wasCurrent := a.state.removeRun(r)
	over := a.leaveSocket(r)
	due := a.due
	if r == a.newest {
		a.newest, a.due = nil, ""
	}
	switch {
	case over && !r.up && due != "" && ctx.Err() == nil:
		a.replace(ctx, due)
	case over: // another way to the gateway was tried, or is no longer used
	case wasCurrent || a.running == 0:
		if r.err != nil || a.running == 0 {
			a.result = r.err
		}
	case !r.up && ctx.Err() == nil:
		log.Warnf(log.Group(a.logger, log.IKE), "reauthentication failed: %v; the connection stays as it is, next try in %v", r.err, reauthRetry)
		a.retryAttestation(r.err)
	}
}

// retryAttestation attests again in a while, since err kept it from doing so.
func (a *attempt) retryAttestation(err error) {
	a.retry = time.After(reauthRetry)
	next := time.Now().Add(reauthRetry)
	a.state.waitingToAttest(next)
	a.happened(EventFailed, err, true, next)
}

// giveUp ends the connection because of err. The caller holds events.
func (c *Client) giveUp(err error) {
	if c.failure == nil {
		c.failure = err
	}
	c.sock.Load().Stop()
}
