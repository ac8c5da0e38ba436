package transport

import (
	"context"
	"errors"
	"time"

	"github.com/gotnc/gotnc/ike"
)

// Run makes a Machine of cfg, whose addresses it fills in, runs it until it
// is finished and returns why: nil after Stop, the cause of ctx after
// cancellation (the IKE_SA is deleted first; CloseTimeout bounds that),
// ike.ErrPeerDeleted after a DELETE of the gateway, the reason of ike.Failed.
// Events are delivered in order from the loop: on must not block for long and
// may call Stop. Each ike.Work runs in a goroutine of its own, so that a slow
// measurement or a CRL that does not come keeps Run from nothing; where one is
// still running at the end, Run cancels it and waits up to 5 s more. Several may
// run at once, with the same gateway: a new IKE_SA is made before the old one
// ends. ChildRekeyed is delivered before the packets of the same Outputs are
// sent.
func (c *Conn) Run(ctx context.Context, cfg ike.Config, on func(ike.Event)) error {
	return c.RunWith(ctx, cfg, on, nil)
}

// Connect opens sockets, runs one connection on them as Conn.Run does, and closes
// them. on also gets the sockets, which carry the data plane's packets (SendESP,
// OnESP). It returns nil after Conn.Stop.
func Connect(ctx context.Context, sockets Config, cfg ike.Config, on func(*Conn, ike.Event)) error {
	c, err := Open(sockets)
	if err != nil {
		return err
	}
	err = c.Run(ctx, cfg, func(e ike.Event) {
		if on != nil {
			on(c, e)
		}
	})
	return errors.Join(err, c.Close())
}

// RunWith is Run; started is called with the Handle to act on the IKE_SA with.
func (c *Conn) RunWith(ctx context.Context, cfg ike.Config, on func(ike.Event), started func(*Handle)) error {
	c.Configure(&cfg)
	if cfg.Logger == nil {
		cfg.Logger = c.cfg.Logger
	}
	if c.tcp != nil {
		cfg.Fragmentation.Size = wholeMessage // TCP cuts what is large
	}
	m, err := ike.New(cfg)
	if err != nil {
		return err
	}
	l := &loop{c: c, m: m, on: on, timer: time.NewTimer(time.Hour), in: make(chan ike.Datagram, queueLen),
		roamed: make(chan struct{}, 1), ask: make(chan func(time.Time) ike.Outputs, 8), work: newWorkers(ctx)}
	c.join(l)
	defer func() {
		c.leave(l)
		l.timer.Stop()
		l.work.stop(workGrace)
		m.Close()
	}()
	if started != nil {
		started(&Handle{l})
	}
	return l.run(ctx)
}

// Stop makes Run delete the IKE_SA and return nil. Safe for concurrent use; a
// later Run returns at once.
func (c *Conn) Stop() { c.stopped.Do(func() { close(c.stop) }) }

type loop struct {
	c         *Conn
	in        chan ike.Datagram
	roamed    chan struct{} // the addresses of c changed
	ask       chan func(time.Time) ike.Outputs
	m         *ike.Machine
	work      *workers
	on        func(ike.Event)
	timer     *time.Timer
	keepAlive time.Time // next one due; zero = none
	end       error
	asked     bool // the caller asked for the end
}

// wholeMessage is a fragment size that no message exceeds.
const wholeMessage = 0xffff

var errClosed = errors.New("IKE sockets are closed")

func (l *loop) run(ctx context.Context) error {
	l.do(l.m.Start(time.Now()))
	stop, cancel := l.c.stop, ctx.Done()
	var grace <-chan time.Time
	ending := func(reason error) {
		l.end, l.asked = reason, true // whatever ends the Machine now
		stop, cancel = nil, nil
		t := time.NewTimer(l.c.cfg.CloseTimeout)
		grace = t.C
		l.do(l.m.Delete(time.Now()))
	}
	for !l.m.Done() {
		l.arm()
		select {
		case d := <-l.in:
			if l.c.onlyLoop() || l.m.Owns(d.Data) {
				l.do(l.m.Handle(time.Now(), d))
			}
		case <-l.roamed:
			l.do(l.m.Roam(time.Now(), l.c.Local(), l.c.LocalNATT()))
		case f := <-l.ask:
			l.do(f(time.Now()))
		case r := <-l.work.results:
			l.do(l.m.Resume(time.Now(), r))
		case <-l.timer.C:
			l.tick()
		case <-stop:
			ending(nil)
		case <-cancel:
			ending(context.Cause(ctx))
		case <-grace:
			return l.end
		case <-l.c.closed:
			return errClosed
		}
	}
	return l.end
}

// arm sets the timer to the earliest deadline.
func (l *loop) arm() {
	at := l.m.NextDeadline()
	if !l.keepAlive.IsZero() && (at.IsZero() || l.keepAlive.Before(at)) {
		at = l.keepAlive
	}
	d := time.Hour
	if !at.IsZero() {
		d = max(time.Until(at), 0)
	}
	l.timer.Reset(d)
}

func (l *loop) tick() {
	now := time.Now()
	if s := l.c.espSent.Load(); s > 0 && l.ownsESP() {
		l.m.Sent(l.c.base.Add(time.Duration(s)))
	}
	if a := l.c.aliveAt.Load(); a > 0 {
		l.m.Alive(l.c.base.Add(time.Duration(a)))
	}
	if !l.keepAlive.IsZero() && !now.Before(l.keepAlive) {
		next := l.c.base.Add(time.Duration(l.c.lastSent.Load())).Add(l.c.cfg.KeepAlive)
		if !now.Before(next) {
			if to := l.c.espTo.Load(); to != nil {
				l.c.net.Debug("sending keep alive to " + to.String())
				_, _ = l.c.sockets().natt.WriteToUDPAddrPort([]byte{0xff}, *to) // lost ones are repeated anyway
			}
			l.c.lastSent.Store(int64(now.Sub(l.c.base)))
			next = now.Add(l.c.cfg.KeepAlive)
		}
		l.keepAlive = next
	}
	l.do(l.m.Tick(now))
}

// do carries the Outputs out.
func (l *loop) do(out ike.Outputs) {
	l.c.counters.exchanges.Store(int64(l.m.Exchanges()))
	if l.on != nil {
		for _, e := range out.Events {
			if e, ok := e.(ike.ChildRekeyed); ok {
				l.on(e)
			}
		}
	}
	for _, p := range out.Packets {
		l.c.send(p)
	}
	for _, w := range out.Work {
		l.work.start(w)
	}
	if p := l.m.Path(); p.Marker && l.ownsESP() {
		if to := l.c.espTo.Load(); to == nil || *to != p.Remote {
			l.c.espTo.Store(&p.Remote)
		}
		if p.NATLocal && l.c.tcp == nil && l.c.cfg.KeepAlive > 0 && l.keepAlive.IsZero() {
			l.keepAlive = time.Now().Add(l.c.cfg.KeepAlive)
		}
	}
	for _, e := range out.Events {
		switch e := e.(type) {
		case ike.Failed:
			if !l.asked {
				l.end = e.Err
			}
		case ike.Closed:
			if e.ByPeer && !l.asked {
				l.end = ike.ErrPeerDeleted
			}
		}
		if _, delivered := e.(ike.ChildRekeyed); l.on != nil && !delivered {
			l.on(e)
		}
	}
}

// ownsESP reports whether ESP goes to the gateway of this Machine: the newest one
// that has come as far as IKE_AUTH.
func (l *loop) ownsESP() bool {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return len(l.c.loops) > 0 && l.c.loops[len(l.c.loops)-1] == l
}

// Handle is a running IKE_SA. Its methods may be called from any goroutine;
// after the end they do nothing.
type Handle struct{ l *loop }

func (h *Handle) do(f func(time.Time) ike.Outputs) {
	select {
	case h.l.ask <- f:
	default: // the loop is far behind, or gone
	}
}

// Delete ends the IKE_SA in order; Run then returns nil.
func (h *Handle) Delete() {
	h.do(func(now time.Time) ike.Outputs {
		h.l.end, h.l.asked = nil, true
		return h.l.m.Delete(now)
	})
}

// Rekey rekeys the IKE_SA.
func (h *Handle) Rekey() { h.do(h.l.m.Rekey) }

// RekeyChildren rekeys every CHILD_SA.
func (h *Handle) RekeyChildren() { h.do(h.l.m.RekeyChildren) }

// Initiate sets up the configured CHILD_SA of that name, where it does not stand.
func (h *Handle) Initiate(name string, packet *ike.Trigger) {
	h.do(func(now time.Time) ike.Outputs { return h.l.m.Initiate(now, name, packet) })
}
