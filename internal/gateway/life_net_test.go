package gateway

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
)

// datagram is one that is under way.
type datagram struct {
	at        time.Time
	n         int // breaks ties
	toGateway bool
	from, to  netip.AddrPort
	data      []byte
}

// wire is a network that loses, repeats, delays and so reorders datagrams.
type wire struct {
	rng         *rand.Rand
	loss, twice float64
	delay       time.Duration // the longest
	outage      time.Time     // nothing arrives that is sent before
	queue       []*datagram
	count       int
}

func (w *wire) Len() int { return len(w.queue) }
func (w *wire) Less(i, j int) bool {
	a, b := w.queue[i], w.queue[j]
	return a.at.Before(b.at) || a.at.Equal(b.at) && a.n < b.n
}
func (w *wire) Swap(i, j int) { w.queue[i], w.queue[j] = w.queue[j], w.queue[i] }
func (w *wire) Push(x any)    { w.queue = append(w.queue, x.(*datagram)) }
func (w *wire) Pop() any {
	d := w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	return d
}

// send takes a datagram.
func (w *wire) send(now time.Time, d datagram) {
	if now.Before(w.outage) || w.rng.Float64() < w.loss {
		return
	}
	for range 2 {
		c := d
		c.at = now.Add(time.Millisecond + time.Duration(w.rng.Int64N(int64(w.delay))))
		w.count++
		c.n = w.count
		heap.Push(w, &c)
		if w.rng.Float64() >= w.twice {
			return
		}
	}
}

// tunnel is the client's data plane: CHILD_SAs in the order of their installation.
type tunnel struct {
	list []*clientChild
}

type clientChild struct {
	of      *session
	name    string
	esp     *childSA // spi is inbound, peerSPI outbound
	standby bool
}

// install makes the CHILD_SA that the Machine reports.
func (p *tunnel) install(of *session, c *ike.ChildSA, standby bool) error {
	in, out, err := c.Ciphers(nil)
	if err != nil {
		return err
	}
	p.list = append(p.list, &clientChild{of: of, name: c.Name, standby: standby,
		esp: &childSA{spi: c.SPIIn, peerSPI: binary.BigEndian.AppendUint32(nil, c.SPIOut), in: in, out: out}})
	return nil
}

func (p *tunnel) find(spiIn uint32) *clientChild {
	for _, c := range p.list {
		if c.esp.spi == spiIn {
			return c
		}
	}
	return nil
}

// sender returns what packets of a configured CHILD_SA leave on.
func (p *tunnel) sender(name string) (last *clientChild) {
	for _, c := range p.list {
		if c.name == name && !c.standby {
			last = c
		}
	}
	return last
}

// remove forgets a CHILD_SA.
func (p *tunnel) remove(spiIn uint32) {
	for i, c := range p.list {
		if c.esp.spi == spiIn {
			p.list = append(p.list[:i:i], p.list[i+1:]...)
			return
		}
	}
}

// ended forgets the CHILD_SAs of an IKE_SA that has ended.
func (p *tunnel) ended(of *session) {
	p.list = slices.DeleteFunc(p.list, func(c *clientChild) bool { return c.of == of })
}

// event carries out what the Machine reports.
func (p *tunnel) event(of *session, e ike.Event) error {
	switch e := e.(type) {
	case ike.ChildEstablished:
		return p.install(of, e.Child, e.Standby)
	case ike.ChildRekeyed:
		if p.find(e.SPIIn) == nil {
			return fmt.Errorf("rekeyed: CHILD_SA %08x is not installed", e.SPIIn)
		}
		return p.install(of, e.Child, e.Standby)
	case ike.ChildActive:
		c := p.find(e.SPIIn)
		if c == nil {
			return fmt.Errorf("active: CHILD_SA %08x is not installed", e.SPIIn)
		}
		c.standby = false
	case ike.ChildClosed:
		p.remove(e.SPIIn)
	}
	return nil
}

// bad counts the packets that the gateway could not take.
func (l *life) bad() (n int) {
	for _, c := range l.g.clients {
		n += c.report.PacketsBad
	}
	return n
}

// probe sends a ping through the tunnel of that name, past the network, and reports
// why it did not come back.
func (l *life) probe(name string) error {
	c := l.plane.sender(name)
	if c == nil {
		return fmt.Errorf("%s: the client has no CHILD_SA", name)
	}
	return l.probeOn(c)
}

func (l *life) probeOn(c *clientChild) error {
	name := c.name
	ping := echoRequest4(l.vip.String(), lifeTargets[name], []byte("probe"))
	esp, err := c.esp.seal(ping, nextIPv4)
	if err != nil {
		return err
	}
	l.probing, l.replies = true, nil
	before := l.bad()
	l.g.Deliver(l.now, l.local, esp)
	l.probing = false
	if len(l.replies) != 1 {
		return fmt.Errorf("%s: the gateway does not take CHILD_SA %x (%d bad packets)", name, c.esp.peerSPI, l.bad()-before)
	}
	reply := l.replies[0]
	back := l.plane.find(binary.BigEndian.Uint32(reply))
	if back == nil || back.name != name {
		return fmt.Errorf("%s: the gateway answers on CHILD_SA %x, which the client does not have", name, reply[:4])
	}
	plain, err := back.esp.in.Open(bytes.Clone(reply), 0)
	if err != nil {
		return fmt.Errorf("%s: answer on CHILD_SA %x: %w", name, reply[:4], err)
	}
	want, _ := echoReply(ping)
	if !bytes.HasPrefix(plain, want) {
		return fmt.Errorf("%s: another answer", name)
	}
	if back.standby { // a packet on it shows that the gateway uses it
		back.standby = false
	}
	return nil
}

// exchanges are the client's requests that have no answer yet, by SPI and ID, with
// the time of their last transmission.
type exchanges map[string]time.Time

// abandoned is how long after its last transmission a request counts as given up.
const abandoned = 25 * time.Second

// idle reports whether no answer is waited for.
func (x exchanges) idle(now time.Time) bool {
	for k, at := range x {
		if now.Sub(at) > abandoned {
			delete(x, k)
		}
	}
	return len(x) == 0
}

func key(h message.Header) string { return fmt.Sprintf("%x %x %d", h.SPIi, h.SPIr, h.MessageID) }

// sent notes a message of the client.
func (x exchanges) sent(now time.Time, b []byte) {
	if h, err := message.ParseHeader(b); err == nil && !h.IsResponse() {
		x[key(h)] = now
	}
}

// received notes a message of the gateway.
func (x exchanges) received(b []byte) {
	h, err := message.ParseHeader(b)
	if err == nil && h.IsResponse() {
		delete(x, key(h))
		h.SPIr = 0 // IKE_SA_INIT went without
		delete(x, key(h))
	}
}

// journal keeps the last lines of what happened.
type journal struct{ lines []string }

func (j *journal) add(now time.Time, format string, args ...any) {
	j.lines = append(j.lines, now.UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	if len(j.lines) > 400 {
		j.lines = j.lines[200:]
	}
}

func (j *journal) String() string { return strings.Join(j.lines, "\n") }
