package tun

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/internal/sadb"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	tunDevice = "/dev/net/tun"
	// tunOffset is what the TUN library needs in front of a packet for its
	// virtio header.
	tunOffset = 16
	// mostOverhead is the most that IPv6, UDP and ESP with any cipher add to a
	// packet, in octets.
	mostOverhead = 40 + 8 + 8 + 16 + 17 + 32

	minIPv6MTU = 1280 // of a link that carries IPv6, RFC 8200 section 5
	minMTU     = 576
	maxMTU     = 65535
)

// tunnel is what a device is made for: a CHILD_SA or a trap.
type tunnel struct {
	child             *ike.ChildSA // nil for a trap
	replayWindow      int
	standby           bool
	trap              bool
	localTS, remoteTS []ike.TrafficSelector
	addresses         []netip.Addr // virtual IPs
	local, gateway    netip.AddrPort
}

// device is a TUN device with addresses, routes and rules: one goroutine reads
// it, one looks whether it is still there.
type device struct {
	cfg  dataplane.Config
	log  *slog.Logger // KNL
	esp  *slog.Logger // ESP
	dev  tun.Device
	name string
	send func(class byte, pkts ...[]byte) error

	sas  *sadb.DB
	mu   sync.Mutex // of tun and network
	tun  tunnel     // without child
	net  network
	held held
	in   inbound

	closing  atomic.Bool
	finished chan struct{} // the reader has ended
	done     chan struct{} // the device is closed
	once     sync.Once
	closeErr error
	failure  atomic.Pointer[error]
}

// network is what was made beside the device.
type network struct {
	nl     *netlink.Handle
	link   netlink.Link
	routes map[netip.Prefix]bool // installed
	rules  map[int]bool          // by family
	undo   []func() error        // in reverse order
}

// openDevice makes a TUN device with the virtual IPs and the routes, and starts to
// carry packets.
func openDevice(cfg dataplane.Config, t tunnel, send func(class byte, pkts ...[]byte) error, authenticated func()) (*device, error) {
	d := &device{
		cfg: cfg, log: log.Group(cfg.Logger, log.KNL), esp: log.Group(cfg.Logger, log.ESP), send: send, tun: t,
		sas:  sadb.New(sadb.Config{Logger: cfg.Logger, Authenticated: authenticated}),
		done: make(chan struct{}), finished: make(chan struct{}),
		net: network{routes: map[netip.Prefix]bool{}, rules: map[int]bool{}},
	}
	d.tun.child = nil
	if err := d.open(t); err != nil {
		d.sas.Close()
		return nil, errors.Join(fmt.Errorf("open TUN data plane: %w", err), d.rollback())
	}
	go d.read()
	go d.watch()
	return d, nil
}

func (d *device) open(t tunnel) error {
	if t.child != nil {
		copies := d.copies(t.child)
		sa, err := d.sas.NewSA(t.child, t.replayWindow, t.standby)
		if err != nil {
			return err
		}
		sa.CopyClass(copies)
		if err := d.sas.Add(sa); err != nil {
			return err
		}
	}
	if err := d.setMTU(t.gateway.Addr()); err != nil {
		return err
	}
	if len(d.cfg.Device) >= unix.IFNAMSIZ || strings.ContainsAny(d.cfg.Device, "/ \t\n") {
		return fmt.Errorf("device name %q: at most %d characters without blanks and slashes", d.cfg.Device, unix.IFNAMSIZ-1)
	}
	if err := Probe(); err != nil {
		return err
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	d.net.nl = nl
	if d.dev, d.name, err = createTUN(d.cfg.Device); err != nil {
		return err
	}
	link, err := nl.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("find device %s: %w", d.name, err)
	}
	d.net.link = link
	if err := nl.LinkSetMTU(link, d.cfg.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", d.cfg.MTU, d.name, err)
	}
	d.quiet()
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", d.name, err)
	}
	log.Infof(d.log, "created TUN device: %s", d.name)
	if !d.cfg.NoAddresses {
		for _, a := range t.addresses {
			if err := d.addAddress(a); err != nil {
				return err
			}
		}
	}
	return d.addRoutes(t.localTS, t.remoteTS)
}

// setMTU chooses the MTU of the device where it is not configured.
func (d *device) setMTU(gateway netip.Addr) error {
	c := &d.cfg
	if c.MTU == 0 {
		inner := c.OuterMTU - mostOverhead
		if sa := d.sas.Newest(); sa != nil {
			inner = sa.MTU(c.OuterMTU, gateway.Is6() && !gateway.Is4In6())
		}
		c.MTU = max(minIPv6MTU, min(dataplane.DefaultMaxMTU, inner))
	}
	if c.MTU < minMTU || c.MTU > maxMTU {
		return fmt.Errorf("MTU %d: not between %d and %d", c.MTU, minMTU, maxMTU)
	}
	return nil
}

// quiet keeps the kernel from sending router solicitations and multicast
// reports into the tunnel, where no selector lets them pass. Where /proc/sys
// is read-only they are dropped and counted.
func (d *device) quiet() {
	file, value := "disable_ipv6", "1"
	is6 := func(s ike.TrafficSelector) bool { return s.Start.Is6() }
	if slices.ContainsFunc(d.tun.localTS, is6) || slices.ContainsFunc(d.tun.remoteTS, is6) ||
		slices.ContainsFunc(d.tun.addresses, func(a netip.Addr) bool { return a.Unmap().Is6() }) {
		file = "addr_gen_mode" // 1: no link-local address
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+d.name+"/"+file, []byte(value), 0)
}

// copies is what the outer headers of a CHILD_SA take of the inner ones.
func (d *device) copies(child *ike.ChildSA) esp.ClassCopy {
	o := d.cfg.ForChild(child.Name).Outer
	return esp.ClassCopy{
		DSCPOut: o.DSCP == dataplane.DSCPOut || o.DSCP == dataplane.DSCPBoth,
		DSCPIn:  o.DSCP == dataplane.DSCPIn || o.DSCP == dataplane.DSCPBoth,
		ECN:     !o.NoECN,
	}
}

// install adds a further or rekeyed CHILD_SA.
func (d *device) install(child *ike.ChildSA, replayWindow int, standby bool) error {
	copies := d.copies(child)
	sa, err := d.sas.NewSA(child, replayWindow, standby)
	if err != nil {
		return err
	}
	sa.CopyClass(copies)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Load() {
		sa.Close()
		return esp.ErrClosed
	}
	if err := d.sas.Add(sa); err != nil {
		return err
	}
	if err := d.addRoutes(sa.LocalTS(), sa.RemoteTS()); err != nil {
		return err
	}
	d.release()
	if early := d.sas.TakeEarly(child.SPIIn); len(early) > 0 {
		d.receive(early...)
	}
	return nil
}

func (d *device) close() error {
	d.once.Do(func() {
		d.closing.Store(true)
		d.closeErr = d.rollback()
		<-d.finished
		d.sas.Close()
		close(d.done)
	})
	<-d.done
	return d.closeErr
}

// rollback removes what was made, in reverse order, and closes the device.
func (d *device) rollback() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, undo := range slices.Backward(d.net.undo) {
		if err := undo(); err != nil {
			errs = append(errs, err)
		}
	}
	d.net.undo = nil
	if d.dev != nil {
		if err := d.dev.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close TUN device %s: %w", d.name, err))
		}
	}
	if d.net.nl != nil {
		d.net.nl.Close()
	}
	if len(errs) > 0 {
		return fmt.Errorf("remove TUN data plane: %w", errors.Join(errs...))
	}
	return nil
}
