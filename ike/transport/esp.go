package transport

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// SendESP sends ESP packets in UDP or TCP to the gateway, in order; in UDP runs of
// equal size in one piece where the kernel cuts them (UDP_SEGMENT, Linux 4.18). Safe
// for concurrent use. It fails before the IKE_SA is established. What could be sent was
// sent where it fails.
func (c *Conn) SendESP(packets ...[]byte) error { return c.SendESPClass(0, packets...) }

// SendESPClass is SendESP with a traffic class (DSCP and ECN) of the IP headers. Over
// TCP it has no effect.
func (c *Conn) SendESPClass(class byte, packets ...[]byte) error {
	to := c.espTo.Load()
	if to == nil {
		return errors.New("send ESP: no IKE_SA with UDP encapsulation")
	}
	var err error
	if c.tcp != nil {
		err = c.tcp.sendESP(packets...)
	} else {
		err = c.sockets().esp.WriteClass(class, *to, packets...)
	}
	now := int64(time.Since(c.base))
	c.lastSent.Store(now)
	c.espSent.Store(now)
	if err != nil {
		return fmt.Errorf("send ESP: %w", err)
	}
	return nil
}

// OnESP sets the receiver of encapsulated ESP packets from the gateway;
// nil drops them. The packets are only valid, and may be changed, during the
// call; calls come one at a time, from a goroutine of Conn, with the packets
// that arrived together.
func (c *Conn) OnESP(f func(packets ...[]byte)) {
	if f == nil {
		c.esp.f.Store(nil)
		return
	}
	c.OnESPClass(func(_ byte, packets ...[]byte) { f(packets...) })
}

// OnESPClass is OnESP with a receiver that gets packets of one traffic class a call; 0
// over TCP. It takes the place of OnESP's.
func (c *Conn) OnESPClass(f func(class byte, packets ...[]byte)) { c.esp.f.Store(&f) }

// ClearDF sends what follows without the don't fragment bit of IPv4, over other
// addresses too. Over TCP it does nothing.
func (c *Conn) ClearDF() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noDF = true
	if c.tcp != nil {
		return nil
	}
	return c.sockets().esp.ClearDF()
}

// espReceiver is who gets ESP packets; its calls come one at a time.
type espReceiver struct {
	mu sync.Mutex
	f  atomic.Pointer[func(byte, ...[]byte)]
}

func (r *espReceiver) deliver(class byte, packets [][]byte) {
	f := r.f.Load()
	if f == nil || len(packets) == 0 {
		return
	}
	r.mu.Lock()
	(*f)(class, packets...)
	r.mu.Unlock()
}
