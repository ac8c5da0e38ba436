package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/log"
)

// choosePlane settles who carries the packets, before anything is sent: what
// cannot work is told at once.
func (c *connection) choosePlane(name string) error {
	kind, err := esp.ParseKind(name)
	if err != nil {
		return err
	}
	choice, err := selectPlane(kind, esp.ProbeTUN, xfrm.Probe)
	if err != nil {
		if os.Geteuid() != 0 {
			err = fmt.Errorf("%w; --dataplane none carries no packets and needs no rights", err)
		}
		return err
	}
	log.Group(c.logger, log.KNL).Info(fmt.Sprintf("using data plane %s: %s", choice.kind, choice.reason))
	if choice.kind == esp.None {
		c.plane = noPlane{}
		return nil
	}
	if choice.kind == esp.XFRM {
		c.plane = &kernelPlane{charon: c.Charon, conn: c.Connection, logger: c.logger, acquire: func() { c.trap.acquire() }}
		return nil
	}
	p := &devicePlane{kind: choice.kind, charon: c.Charon, logger: c.logger, acquire: c.trap.acquire}
	if len(c.Connection.Children) > 0 {
		p.window = c.Connection.Children[0].ReplayWindow
	}
	c.plane = p
	c.needsUDP = choice.kind == esp.TUN // in user space it needs the UDP header
	return nil
}

// planeChoice is a data plane and why it was chosen, for the log.
type planeChoice struct {
	kind   esp.Kind
	reason string
}

// selectPlane chooses a data plane and says why. TUN comes first: it works the
// same on every kernel, and it is the one that the tests send traffic through.
func selectPlane(want esp.Kind, tun, kernel func() error) (planeChoice, error) {
	switch want {
	case esp.None:
		return planeChoice{kind: esp.None, reason: "as asked, no traffic is carried"}, nil
	case esp.TUN:
		if err := tun(); err != nil {
			return planeChoice{}, fmt.Errorf("use data plane tun: %w", err)
		}
		return planeChoice{kind: esp.TUN, reason: "as asked"}, nil
	case esp.XFRM:
		if err := kernel(); err != nil {
			return planeChoice{}, fmt.Errorf("use data plane xfrm: %w", err)
		}
		return planeChoice{kind: esp.XFRM, reason: "as asked"}, nil
	}
	noTUN := tun()
	if noTUN == nil {
		return planeChoice{kind: esp.TUN, reason: "TUN devices work here"}, nil
	}
	noKernel := kernel()
	if noKernel == nil {
		return planeChoice{kind: esp.XFRM, reason: fmt.Sprintf("the kernel has ESP, and tun does not work: %v", noTUN)}, nil
	}
	return planeChoice{}, fmt.Errorf("no data plane works here; tun: %w; xfrm: %w", noTUN, noKernel)
}

// noPlane carries nothing.
type noPlane struct{}

func (noPlane) start(child *ike.ChildSA, _ *udp.Conn) error {
	child.Zero()
	return nil
}

func (noPlane) close() error { return nil }

// deviceName is that of our TUN devices.
const deviceName = "tnc%d"

// devicePlane carries packets through a network device.
type devicePlane struct {
	kind   esp.Kind
	charon config.Charon
	logger *slog.Logger
	window int // packets; 0 = the default
	// acquire hears of packets without a CHILD_SA
	acquire func() bool
	plane   esp.Plane
	sock    atomic.Pointer[udp.Conn]
}

func (p *devicePlane) start(child *ike.ChildSA, sock *udp.Conn) error {
	if !child.Encap {
		child.Zero()
		return fmt.Errorf("the gateway does not take ESP in UDP, which the data plane %s needs: allow NAT traversal on the gateway", p.kind)
	}
	c, err := espChild(child)
	if err != nil {
		return err
	}
	c.ReplayWindow = p.window
	var virtual []netip.Addr
	for _, a := range child.Internal.Addresses {
		virtual = append(virtual, a.Addr())
	}
	p.sock.Store(sock)
	if err := p.open(esp.Config{Child: c, Addresses: virtual, Local: child.Local, Gateway: child.Remote}); err != nil {
		return err
	}
	sock.OnESP(p.plane.Receive)
	return nil
}

// trap needs no CHILD_SA: the first one is installed later.
func (p *devicePlane) trap(t trapSelectors) error {
	cfg := esp.Config{Local: t.ours, Gateway: t.gateway}
	for _, ch := range t.children {
		cfg.TrapLocal, cfg.TrapRemote = append(cfg.TrapLocal, ch.local...), append(cfg.TrapRemote, ch.remote...)
	}
	return p.open(cfg)
}

// open makes the device with what is the same for every one.
func (p *devicePlane) open(cfg esp.Config) error {
	cfg.Logger, cfg.Acquire, cfg.Device = p.logger, p.acquire, deviceName
	cfg.Send = func(pkts ...[]byte) error { return p.sock.Load().SendESP(pkts...) }
	cfg.Authenticated = func() { p.sock.Load().Alive() }
	cfg.NoRoutes, cfg.NoAddresses = !p.charon.InstallRoutes, !p.charon.InstallVirtualIP
	cfg.Table, cfg.Priority = p.charon.RoutingTable, p.charon.RoutingTablePrio
	plane, err := esp.OpenTUN(cfg)
	if err != nil {
		return fmt.Errorf("start data plane %s: %w", p.kind, err)
	}
	p.plane = plane
	return nil
}

func (p *devicePlane) close() error {
	if p.plane == nil {
		return nil
	}
	log.Group(p.logger, log.CHD).Info(p.plane.Stats().String())
	err := p.plane.Close()
	p.plane = nil
	return err
}

// espChild makes the packet ciphers of a CHILD_SA and forgets its keys.
func espChild(child *ike.ChildSA) (esp.Child, error) {
	defer child.Zero()
	k := child.Keys
	out, err := crypto.NewPacketCipher(child.ESP, k.Ei, k.Ai, nil)
	if err != nil {
		return esp.Child{}, fmt.Errorf("outbound ESP cipher: %w", err)
	}
	in, err := crypto.NewPacketCipher(child.ESP, k.Er, k.Ar, nil)
	if err != nil {
		out.Zero()
		return esp.Child{}, fmt.Errorf("inbound ESP cipher: %w", err)
	}
	return esp.Child{
		Name: child.Name, SPIIn: child.SPIIn, SPIOut: child.SPIOut, In: in, Out: out,
		ESN: child.ESP.ESN, LocalTS: espSelectors(child.LocalTS), RemoteTS: espSelectors(child.RemoteTS),
	}, nil
}

func espSelectors(ts []ike.TrafficSelector) []esp.Selector {
	out := make([]esp.Selector, 0, len(ts))
	for _, t := range ts {
		if t.Start.IsValid() {
			out = append(out, esp.Selector{From: t.Start, To: t.End, Protocol: t.Protocol, FromPort: t.StartPort, ToPort: t.EndPort})
		}
	}
	return out
}

// plane carries the packets of CHILD_SAs.
type plane interface {
	// trap catches packets that no CHILD_SA is there for; in the place of start.
	trap(t trapSelectors) error
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
