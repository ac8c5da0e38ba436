package transport

import "sync/atomic"

// Stats is what a Conn has cost.
type Stats struct {
	Exchanges     int   // our IKE requests that were answered
	BytesSent     int64 // octets of UDP payload in IKE datagrams, marker included
	BytesReceived int64
}

type counters struct {
	exchanges      atomic.Int64
	sent, received atomic.Int64
}

// Stats returns the counts so far. Safe for concurrent use.
func (c *Conn) Stats() Stats {
	return Stats{
		Exchanges:     int(c.counters.exchanges.Load()),
		BytesSent:     c.counters.sent.Load(),
		BytesReceived: c.counters.received.Load(),
	}
}
