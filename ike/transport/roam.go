package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport/batch"
	"github.com/gotnc/gotnc/internal/base/log"
)

// socketPair is the two sockets, bound to one local address.
type socketPair struct {
	ike, natt     *net.UDPConn  // the same one where one serves for both
	esp           *batch.Writer // of natt
	ikeAt, nattAt netip.AddrPort
}

func (p *socketPair) close() error {
	err := p.ike.Close()
	if p.natt != p.ike {
		err = errors.Join(err, p.natt.Close())
	}
	return err
}

func (c *Conn) sockets() *socketPair { return c.socks.Load() }

// bind opens both sockets on an address.
func (c *Conn) bind(local netip.Addr, port, portNATT uint16) (*socketPair, error) {
	fd, err := listen(c.cfg, netip.AddrPortFrom(local, port))
	if err != nil {
		return nil, err
	}
	p := &socketPair{ike: fd, natt: fd}
	if !c.single {
		if p.natt, err = listen(c.cfg, netip.AddrPortFrom(local, portNATT)); err != nil {
			fd.Close()
			return nil, err
		}
	}
	if p.esp, err = batch.NewWriter(p.natt); err != nil {
		_ = p.close()
		return nil, err
	}
	p.ikeAt, p.nattAt = localOf(p.ike), localOf(p.natt)
	return p, nil
}

// start makes p the sockets in use, and reads them.
func (c *Conn) start(p *socketPair) {
	c.socks.Store(p)
	c.wg.Add(1)
	go c.read(p.ike, p.ikeAt)
	if p.natt != p.ike {
		c.wg.Add(1)
		go c.read(p.natt, p.nattAt)
	}
}

// Rebind moves the sockets to another local address, with the same ports where
// they are free, and informs the Machines (MOBIKE). The old ones are closed. A TCP
// connection is made again, from where the route leads.
func (c *Conn) Rebind(local netip.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return errClosed
	default:
	}
	if c.tcp != nil {
		if c.tcp.local().Addr() != local {
			c.tcp.move()
		}
		return nil
	}
	before := c.sockets()
	if before.ikeAt.Addr() == local {
		return nil
	}
	if local.Is4() != before.ikeAt.Addr().Is4() {
		return fmt.Errorf("rebind IKE sockets to %s: the gateway's address is of the other family", local)
	}
	p, err := c.bind(local, before.ikeAt.Port(), before.nattAt.Port())
	if err != nil {
		if p, err = c.bind(local, 0, 0); err != nil {
			return err
		}
	}
	log.Infof(c.net, "our address changed from %s to %s", before.ikeAt.Addr(), local)
	if c.exempt {
		if err := exempt(p); err != nil {
			log.Warnf(c.net, "%v", err)
		}
	}
	if c.kernel {
		if err := kernelESP(p); err != nil {
			log.Warnf(c.net, "%v", err)
		}
	}
	if c.noDF {
		if err := p.esp.ClearDF(); err != nil {
			log.Warnf(c.net, "%v", err)
		}
	}
	c.start(p)
	_ = before.close() // its readers end
	c.reportRoam()
	return nil
}

// reportRoam informs the Machines that this end's addresses changed. The caller
// holds mu.
func (c *Conn) reportRoam() {
	for _, l := range c.loops {
		select {
		case l.roamed <- struct{}{}:
		default:
		}
	}
}

// reconnected informs the Machines that there is a new TCP connection: from
// another address or port, or from the same, where they ask for a sign of life so
// that the gateway learns of it.
func (c *Conn) reconnected(moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if moved {
		c.reportRoam()
		return
	}
	c.askAll((*ike.Machine).Probe)
}

// renew has the Machines ask for new IKE_SAs: the gateway does not answer those that
// there are over this TCP connection.
func (c *Conn) renew(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.askAll(func(m *ike.Machine, now time.Time) ike.Outputs { return m.Reauthenticate(now, why) })
}

// askAll asks every Machine. The caller holds mu.
func (c *Conn) askAll(f func(*ike.Machine, time.Time) ike.Outputs) {
	for _, l := range c.loops {
		select {
		case l.ask <- func(now time.Time) ike.Outputs { return f(l.m, now) }:
		default: // the loop is far behind, or gone
		}
	}
}

// roamSettle is how long addresses and routes have to be quiet before they are
// looked at: they change several at a time. roamPoll is how often they are
// looked at where the kernel reports no changes.
const (
	roamSettle = 300 * time.Millisecond
	roamPoll   = 10 * time.Second
)

// followRoute rebinds the sockets where the route to the gateway leaves from another
// address than before. Without any route the sockets stay as they are.
func (c *Conn) followRoute() {
	defer c.wg.Done()
	changes := watchAddresses(c.closed)
	poll := time.NewTicker(roamPoll)
	defer poll.Stop()
	failed := ""
	for {
		select {
		case <-c.closed:
			return
		case <-poll.C:
		case _, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			for quiet := time.NewTimer(roamSettle); quiet != nil; {
				select {
				case <-c.closed:
					quiet.Stop()
					return
				case _, ok := <-changes:
					if !ok {
						changes = nil
					}
					quiet.Reset(roamSettle)
				case <-quiet.C:
					quiet = nil
				}
			}
		}
		a, err := sourceAddr(c.cfg)
		if err != nil || a.IsLoopback() != c.Local().Addr().IsLoopback() {
			continue
		}
		err = c.Rebind(a)
		switch {
		case err == nil:
			failed = ""
		case !errors.Is(err, errClosed) && err.Error() != failed:
			failed = err.Error()
			log.Warnf(c.net, "%s", failed)
		}
	}
}

// join and leave keep the list of who runs.
func (c *Conn) join(l *loop) {
	c.mu.Lock()
	c.loops = append(c.loops, l)
	c.mu.Unlock()
}

func (c *Conn) leave(l *loop) {
	c.mu.Lock()
	c.loops = slices.DeleteFunc(c.loops, func(o *loop) bool { return o == l })
	if len(c.loops) == 0 {
		c.espTo.Store(nil)
	}
	c.mu.Unlock()
}

// onlyLoop reports whether only one Machine runs, which then logs all that comes.
func (c *Conn) onlyLoop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.loops) == 1
}
