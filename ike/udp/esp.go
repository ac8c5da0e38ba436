package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxSegments is how many datagrams of a flow the kernel takes or gives in one
// piece (UDP_MAX_SEGMENTS).
const maxSegments = 64

// outbound gathers datagrams that the kernel takes in one piece.
type outbound struct {
	mu     sync.Mutex
	buf    []byte
	single bool // the kernel does not take them so
}

// SendESP sends ESP packets in UDP to the gateway, in order; runs of equal size
// in one piece where the kernel cuts them (UDP_SEGMENT, Linux 4.18). Safe for
// concurrent use. It fails before the IKE_SA is established. What could be sent was
// sent where it fails.
func (c *Conn) SendESP(packets ...[]byte) error {
	to := c.espTo.Load()
	if to == nil {
		return errors.New("send ESP: no IKE_SA with UDP encapsulation")
	}
	var err error
	for len(packets) > 0 {
		n := run(packets)
		if serr := c.sendRun(packets[:n], *to); serr != nil && err == nil {
			err = fmt.Errorf("send ESP: %w", serr)
		}
		packets = packets[n:]
	}
	c.lastSent.Store(int64(time.Since(c.base)))
	return err
}

// run is how many packets from the first on go in one piece: of equal size, the
// last one may be shorter.
func run(packets [][]byte) (n int) {
	size, total := len(packets[0]), 0
	for _, b := range packets {
		if len(b) > size || n == maxSegments || total+len(b) > maxDatagram-100 {
			return max(n, 1)
		}
		n++
		total += len(b)
		if len(b) < size {
			return n
		}
	}
	return n
}

func (c *Conn) sendRun(packets [][]byte, to netip.AddrPort) error {
	fd := c.sockets().natt
	if len(packets) > 1 {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		if !c.out.single {
			c.out.buf = c.out.buf[:0]
			for _, b := range packets {
				c.out.buf = append(c.out.buf, b...)
			}
			err := sendSegments(fd, c.out.buf, len(packets[0]), to)
			if err == nil {
				return nil
			}
			// Not in this kernel, not on this device, or the path is narrower
			// than the segments.
			for _, e := range []error{errors.ErrUnsupported, syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.ENOPROTOOPT} {
				c.out.single = c.out.single || errors.Is(err, e)
			}
		}
	}
	var first error
	for _, b := range packets {
		if _, err := fd.WriteToUDPAddrPort(b, to); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// OnESP sets the receiver of UDP-encapsulated ESP packets from the gateway;
// nil drops them. The packets are only valid, and may be changed, during the
// call; calls come one at a time, from a goroutine of Conn, with the packets
// that arrived together.
func (c *Conn) OnESP(f func(packets ...[]byte)) {
	if f == nil {
		c.esp.f.Store(nil)
		return
	}
	c.esp.f.Store(&f)
}

// espReceiver is who gets ESP packets; its calls come one at a time.
type espReceiver struct {
	mu sync.Mutex
	f  atomic.Pointer[func(...[]byte)]
}

func (r *espReceiver) deliver(packets [][]byte) {
	f := r.f.Load()
	if f == nil || len(packets) == 0 {
		return
	}
	r.mu.Lock()
	(*f)(packets...)
	r.mu.Unlock()
}
