package gateway

import (
	"net/netip"
	"time"
)

// InMemory returns a gateway without a socket, at the address local: Deliver
// hands it datagrams, Tick the time, and it sends through transmit, which may keep
// what it gets and must not call back. The caller must Close it.
func InMemory(cfg Config, local netip.AddrPort, transmit func(to netip.AddrPort, datagram []byte)) (*Gateway, error) {
	g, err := newGateway(cfg)
	if err != nil {
		return nil, err
	}
	g.local = local
	g.transmit = func(to netip.AddrPort, datagram []byte) error {
		transmit(to, datagram)
		return nil
	}
	return g, nil
}

// Deliver takes one datagram of a gateway without a socket.
func (g *Gateway) Deliver(now time.Time, from netip.AddrPort, datagram []byte) {
	g.handle(now, from, datagram)
}

// Tick lets a gateway without a socket do what is due.
func (g *Gateway) Tick(now time.Time) { g.tick(now) }

// NextDeadline returns when Tick has something to do; zero = never.
func (g *Gateway) NextDeadline() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	var at time.Time
	for _, c := range g.clients {
		if c.freed {
			continue
		}
		c.deadlines(func(t time.Time) {
			if !t.IsZero() && (at.IsZero() || t.Before(at)) {
				at = t
			}
		})
	}
	return at
}
