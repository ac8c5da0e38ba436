package transport

import (
	"sync/atomic"
	"time"
)

// Stats is what a Conn has cost.
type Stats struct {
	Exchanges     int   // our IKE requests that were answered
	BytesSent     int64 // octets of UDP payload in IKE datagrams, marker included
	BytesReceived int64
	// LastReceived is when the gateway was last heard: an IKE datagram, or an ESP packet
	// that authenticated (Alive). Zero before the first.
	LastReceived time.Time
}

type counters struct {
	exchanges      atomic.Int64
	sent, received atomic.Int64
	heard          atomic.Int64 // when, since base; 0 = never
}

// hear counts a datagram of n octets.
func (c *Conn) hear(n int) {
	c.counters.received.Add(int64(n))
	c.counters.heard.Store(int64(time.Since(c.base)))
}

// Stats returns the counts so far. Safe for concurrent use.
func (c *Conn) Stats() Stats {
	s := Stats{
		Exchanges:     int(c.counters.exchanges.Load()),
		BytesSent:     c.counters.sent.Load(),
		BytesReceived: c.counters.received.Load(),
	}
	if at := max(c.counters.heard.Load(), c.aliveAt.Load()); at > 0 {
		s.LastReceived = c.base.Add(time.Duration(at))
	}
	return s
}
