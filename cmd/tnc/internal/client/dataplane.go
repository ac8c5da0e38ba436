package client

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Plane carries the packets of CHILD_SAs. Kind, NeedsUDP, Device and Stats may be
// called at any time, the other methods one at a time.
type Plane interface {
	Kind() esp.Kind
	// NeedsUDP reports whether it takes ESP in UDP only.
	NeedsUDP() bool
	// Device returns the name of its network device; "" = none.
	Device() string
	Stats() esp.Stats

	// Trap catches packets that no CHILD_SA is there for; in the place of Start.
	Trap(t TrapSelectors) error
	// Start takes the first CHILD_SA, whose keys it zeroes when it is done.
	Start(child *ike.ChildSA, sock *udp.Conn) error
	// Install takes a further or rekeyed one; with standby it only receives.
	Install(child *ike.ChildSA, standby bool) error
	Activate(spiIn uint32)
	Remove(spiIn uint32)
	Moved(e ike.Moved) error
	// Attach makes sock the way of the packets, after a reconnection too.
	Attach(sock *udp.Conn)
	// Close removes all that Start made. It may be called without Start.
	Close() error
}

// PlaneError is why a data plane cannot be used.
type PlaneError struct{ Err error }

func (e *PlaneError) Error() string { return e.Err.Error() }
func (e *PlaneError) Unwrap() error { return e.Err }

// choosePlane decides who carries the packets, before anything is sent: what
// cannot work is an error at once.
func (c *Client) choosePlane() (Plane, error) {
	kind := esp.None
	if c.cfg.Dataplane != "" {
		var err error
		if kind, err = esp.ParseKind(c.cfg.Dataplane); err != nil {
			return nil, err
		}
	}
	choice, err := selectPlane(kind, esp.ProbeTUN, xfrm.Probe)
	if err != nil {
		return nil, &PlaneError{err}
	}
	log.Infof(log.Group(c.logger, log.KNL), "using data plane %s: %s", choice.kind, choice.reason)
	charon, conn := c.profile.Charon, c.profile.Connection
	switch choice.kind {
	case esp.None:
		return NoPlane{}, nil
	case esp.XFRM:
		return &kernelPlane{charon: charon, conn: conn, logger: c.logger, acquire: func() { c.trap.acquire() }}, nil
	}
	p := &devicePlane{charon: charon, logger: c.logger, acquire: c.trap.acquire}
	if len(conn.Children) > 0 {
		p.window = conn.Children[0].ReplayWindow
	}
	return p, nil
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

// deviceName is that of our TUN devices.
const deviceName = "tnc%d"

// devicePlane carries packets through a network device.
type devicePlane struct {
	charon settings.Charon
	logger *slog.Logger
	window int // packets; 0 = the default
	// acquire hears of packets without a CHILD_SA
	acquire func() bool
	plane   atomic.Pointer[esp.Plane]
	sock    atomic.Pointer[udp.Conn]
}

func (p *devicePlane) Start(child *ike.ChildSA, sock *udp.Conn) error {
	if !child.Encap {
		child.Zero()
		return fmt.Errorf("the gateway does not take ESP in UDP, which the data plane %s needs: allow NAT traversal on the gateway", esp.TUN)
	}
	c, err := SA(child)
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
	sock.OnESP((*p.plane.Load()).Receive)
	return nil
}

// Trap needs no CHILD_SA: the first one is installed later.
func (p *devicePlane) Trap(t TrapSelectors) error {
	cfg := esp.Config{Local: t.Local, Gateway: t.Gateway}
	for _, ch := range t.Children {
		cfg.TrapLocal, cfg.TrapRemote = append(cfg.TrapLocal, ch.Local...), append(cfg.TrapRemote, ch.Remote...)
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
		return fmt.Errorf("start data plane %s: %w", esp.TUN, err)
	}
	p.plane.Store(&plane)
	return nil
}

func (p *devicePlane) Close() error {
	plane := p.plane.Swap(nil)
	if plane == nil {
		return nil
	}
	log.Group(p.logger, log.CHD).Info((*plane).Stats().String())
	return (*plane).Close()
}

// SA makes the packet ciphers of a CHILD_SA and forgets its keys.
func SA(child *ike.ChildSA) (esp.Child, error) {
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
		ESN: child.ESP.ESN, LocalTS: Selectors(child.LocalTS), RemoteTS: Selectors(child.RemoteTS),
	}, nil
}

// Selectors returns traffic selectors as package esp has them.
func Selectors(ts []ike.TrafficSelector) []esp.Selector {
	out := make([]esp.Selector, 0, len(ts))
	for _, t := range ts {
		if t.Start.IsValid() {
			out = append(out, esp.Selector{From: t.Start, To: t.End, Protocol: t.Protocol, FromPort: t.StartPort, ToPort: t.EndPort})
		}
	}
	return out
}
