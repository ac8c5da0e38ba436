package esp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/internal/log"
)

const (
	tunDevice = "/dev/net/tun"
	// tunOffset is what the TUN library needs in front of a packet for its
	// virtio header.
	tunOffset = 16
	// maxSAs caps the ESP SAs that stand at once, through rekeying.
	maxSAs = 64
	// watchInterval is how often the device is looked for.
	watchInterval = time.Second
)

// ProbeTUN reports why TUN devices cannot be used, nil where they can. It
// changes nothing.
func ProbeTUN() error {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s does not exist: load the kernel module tun (modprobe tun), or pass the device into the container", tunDevice)
	case err != nil:
		return fmt.Errorf("open %s: %w; run as root", tunDevice, err)
	}
	unix.Close(fd)
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	if data[unix.CAP_NET_ADMIN/32].Effective&(1<<(unix.CAP_NET_ADMIN%32)) == 0 {
		return errors.New("the right CAP_NET_ADMIN is missing: run as root, or setcap cap_net_admin+ep")
	}
	return nil
}

// tunPlane is ESP over a TUN device: one goroutine reads the device, one
// looks whether it is still there.
type tunPlane struct {
	cfg  Config
	log  *slog.Logger // KNL
	esp  *slog.Logger // ESP
	dev  tun.Device
	name string

	sas      atomic.Pointer[[]*SA] // the newest first; it sends
	mu       sync.Mutex            // writers of sas, and what follows
	gone     Stats                 // of removed SAs
	counters counters              // what no SA counts

	nl       *netlink.Handle
	link     netlink.Link
	routes   map[netip.Prefix]bool // installed
	rules    map[int]bool          // by family
	undo     []func() error        // in reverse order
	closing  atomic.Bool
	finished chan struct{} // the reader has ended
	done     chan struct{}
	once     sync.Once
	closeErr error
	failure  atomic.Pointer[error]
}

// OpenTUN makes a TUN device with the virtual IPs and, in a table of their
// own, the routes to what lies behind the gateway, and starts to carry
// packets. It takes the ciphers over, also where it fails. All of it is made
// in the network namespace of the calling thread.
func OpenTUN(cfg Config) (Plane, error) {
	sa, err := NewSA(cfg.Child)
	if err != nil {
		return nil, fmt.Errorf("open TUN data plane: %w", err)
	}
	cfg.Child.In, cfg.Child.Out = nil, nil
	p := &tunPlane{cfg: cfg, log: log.Group(cfg.Logger, log.KNL), esp: log.Group(cfg.Logger, log.ESP), done: make(chan struct{}), finished: make(chan struct{})}
	p.sas.Store(&[]*SA{sa})
	if err := p.open(sa); err != nil {
		sa.Close()
		return nil, errors.Join(fmt.Errorf("open TUN data plane: %w", err), p.rollback())
	}
	go p.read()
	go p.watch()
	return p, nil
}

func (p *tunPlane) open(sa *SA) error {
	c := &p.cfg
	if c.Send == nil {
		return errors.New("no way to send packets")
	}
	if c.Device == "" {
		c.Device = "ipsec%d"
	}
	if len(c.Device) >= unix.IFNAMSIZ || strings.ContainsAny(c.Device, "/ \t\n") {
		return fmt.Errorf("device name %q: at most %d characters without blanks and slashes", c.Device, unix.IFNAMSIZ-1)
	}
	if c.Table == 0 {
		c.Table = DefaultTable
	}
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.OuterMTU == 0 {
		c.OuterMTU = DefaultOuterMTU
	}
	if c.MTU == 0 {
		c.MTU = max(minMTU, min(DefaultMaxMTU, sa.MTU(c.OuterMTU, c.Gateway.Addr().Is6() && !c.Gateway.Addr().Is4In6())))
	}
	if c.MTU < 576 || c.MTU > maxMTU {
		return fmt.Errorf("MTU %d: not between 576 and %d", c.MTU, maxMTU)
	}
	if err := ProbeTUN(); err != nil {
		return err
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	p.nl = nl
	if p.dev, p.name, err = createTUN(c.Device); err != nil {
		return err
	}
	link, err := nl.LinkByName(p.name)
	if err != nil {
		return fmt.Errorf("find device %s: %w", p.name, err)
	}
	p.link, p.routes, p.rules = link, map[netip.Prefix]bool{}, map[int]bool{}
	if err := nl.LinkSetMTU(link, c.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", c.MTU, p.name, err)
	}
	p.quiet(sa)
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", p.name, err)
	}
	p.log.Info(fmt.Sprintf("created TUN device: %s", p.name))
	if !c.NoAddresses {
		for _, a := range c.Addresses {
			if err := p.addAddress(link, a); err != nil {
				return err
			}
		}
	}
	if !c.NoRoutes {
		return p.addRoutes(link, sa)
	}
	return nil
}

// quiet keeps the kernel from sending router solicitations and multicast
// reports into the tunnel, where no selector lets them pass. Where /proc/sys
// is read-only they are dropped and counted.
func (p *tunPlane) quiet(sa *SA) {
	file, value := "disable_ipv6", "1"
	is6 := func(s Selector) bool { return s.From.Is6() }
	if slices.ContainsFunc(*sa.local.Load(), is6) || slices.ContainsFunc(sa.remote, is6) || slices.ContainsFunc(p.cfg.Addresses, func(a netip.Addr) bool { return a.Unmap().Is6() }) {
		file = "addr_gen_mode" // 1: no link-local address
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+p.name+"/"+file, []byte(value), 0)
}

// createTUN opens a TUN device; name may hold a %d.
func createTUN(name string) (tun.Device, string, error) {
	fail := func(fd int, err error) (tun.Device, string, error) {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, "", fmt.Errorf("create TUN device %s: %w", name, err)
	}
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(-1, err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fail(fd, err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_TUN_EXCL)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		if errors.Is(err, unix.EBUSY) {
			err = errors.New("a device of that name exists; choose another name")
		}
		return fail(fd, err)
	}
	dev, got, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return fail(fd, err)
	}
	return dev, got, nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (p *tunPlane) addAddress(link netlink.Link, a netip.Addr) error {
	a = a.Unmap()
	addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := p.nl.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("install virtual IP %s on %s: %w", a, p.name, err)
	}
	p.undo = append(p.undo, func() error {
		return ignore(p.nl.AddrDel(link, addr), unix.ENODEV, unix.EADDRNOTAVAIL)
	})
	p.log.Info(fmt.Sprintf("virtual IP %s installed on %s", a, p.name))
	return nil
}

func (p *tunPlane) addRoutes(link netlink.Link, sa *SA) error {
	families := map[int]bool{}
	for _, dst := range prefixesOf(sa.remote) {
		if p.routes[dst] {
			continue
		}
		family := unix.AF_INET
		if dst.Addr().Is6() {
			family = unix.AF_INET6
		}
		src := p.source(family, sa)
		if len(p.cfg.Addresses) > 0 && !src.IsValid() && !p.cfg.NoAddresses {
			continue // a family that the gateway gave no address for
		}
		r := p.route(dst, sa)
		if err := p.nl.RouteAdd(r); err != nil {
			if errors.Is(err, unix.EEXIST) {
				err = errors.New("it exists already: does another VPN client run?")
			}
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, p.name, p.cfg.Table, err)
		}
		p.undo = append(p.undo, func() error {
			return ignore(p.nl.RouteDel(r), unix.ESRCH, unix.ENODEV)
		})
		families[family], p.routes[dst] = true, true
		p.log.Info(fmt.Sprintf("installed route %s dev %s table %d", dst, p.name, p.cfg.Table))
	}
	// The rules come last: traffic enters the tunnel when all is there.
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if !families[family] || p.rules[family] {
			continue
		}
		if err := p.addRule(family); err != nil {
			return err
		}
		p.rules[family] = true
	}
	return nil
}

// addRule sends the lookups of all packets to the table, except those to the
// gateway's own address and port.
func (p *tunPlane) addRule(family int) error {
	r := p.rule(family, p.cfg.Gateway)
	err := p.nl.RuleAdd(r)
	if errors.Is(err, unix.EEXIST) {
		// An earlier run that was killed, or another connection to the same
		// gateway: it does what is needed, and is not ours to remove.
		p.log.Info(fmt.Sprintf("rule with priority %d for table %d is there already", r.Priority, r.Table))
		return nil
	}
	if err != nil {
		return fmt.Errorf("install rule with priority %d for table %d: %w", r.Priority, r.Table, err)
	}
	p.undo = append(p.undo, func() error { return ignore(p.nl.RuleDel(r), unix.ENOENT) })
	return nil
}

// rule is the rule that leaves packets to the gateway alone.
func (p *tunPlane) rule(family int, gateway netip.AddrPort) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Table, r.Priority = family, p.cfg.Table, p.cfg.Priority
	gw := gateway.Addr().Unmap().WithZone("")
	if gw.IsValid() && gw.Is4() == (family == unix.AF_INET) {
		r.Invert = true
		r.Dst = ipNet(netip.PrefixFrom(gw, gw.BitLen()))
		r.IPProto = unix.IPPROTO_UDP
		if port := gateway.Port(); port != 0 {
			r.Dport = netlink.NewRulePortRange(port, port)
		}
	}
	return r
}

// source returns the address that packets into the tunnel leave from: a
// virtual IP, else an address of this host within the local selectors.
func (p *tunPlane) source(family int, sa *SA) netip.Addr {
	fits := func(a netip.Addr) bool {
		return a.IsValid() && a.Is4() == (family == unix.AF_INET) && slices.ContainsFunc(*sa.local.Load(), func(s Selector) bool { return s.Contains(a) })
	}
	if !p.cfg.NoAddresses {
		for _, a := range p.cfg.Addresses {
			if a = a.Unmap(); fits(a) {
				return a
			}
		}
	}
	if a := p.cfg.Local.Addr().Unmap().WithZone(""); fits(a) {
		return a
	}
	have, err := p.nl.AddrList(nil, family)
	if err != nil {
		return netip.Addr{}
	}
	for _, h := range have {
		if a, ok := netip.AddrFromSlice(h.IP); ok && fits(a.Unmap()) && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

func (p *tunPlane) Kind() Kind     { return TUN }
func (p *tunPlane) Device() string { return p.name }

// read carries packets from the device to the gateway.
func (p *tunPlane) read() {
	defer close(p.finished)
	batch := p.dev.BatchSize()
	const headroom = 64 // ESP header and IV, aligned
	const tailroom = 128
	bufs, sizes := make([][]byte, batch), make([]int, batch)
	backing := make([]byte, batch*(headroom+p.cfg.MTU+tailroom))
	size := headroom + p.cfg.MTU + tailroom
	for i := range bufs {
		bufs[i] = backing[i*size : (i+1)*size : (i+1)*size]
	}
	var lastErr string
	for {
		n, err := p.dev.Read(bufs, sizes, headroom)
		for i := range n {
			sa := p.sender(bufs[i][headroom : headroom+sizes[i]])
			if sa == nil || sizes[i] == 0 {
				p.counters.failed.Add(1)
				continue
			}
			pkt, err := sa.SealInPlace(bufs[i], headroom, sizes[i])
			if err == nil {
				if err = p.cfg.Send(pkt); err != nil {
					p.counters.failed.Add(1)
				}
			}
			// One line a kind of failure, not one a packet.
			if err != nil && !errors.Is(err, ErrSelector) && !errors.Is(err, ErrClosed) {
				if text := err.Error(); text != lastErr {
					lastErr = text
					p.esp.Warn("sending a packet failed: " + text)
				}
			}
		}
		if err == nil {
			continue
		}
		if errors.Is(err, tun.ErrTooManySegments) {
			p.counters.failed.Add(1)
			continue
		}
		if p.closing.Load() {
			return
		}
		for _, end := range []error{os.ErrClosed, unix.EBADFD, unix.EFAULT, unix.EIO, unix.ENODEV, unix.EBADF} {
			if errors.Is(err, end) {
				p.fail(err)
				return
			}
		}
		// a packet that the library cannot take apart
		p.counters.malformed.Add(1)
		if text := err.Error(); text != lastErr {
			lastErr = text
			p.log.Warn("reading from " + p.name + " failed: " + text)
		}
	}
}

// sender returns the newest SA that may send packet; where none fits, the
// newest that may send at all counts the drop. Nil where there is none.
func (p *tunPlane) sender(packet []byte) (first *SA) {
	sas := *p.sas.Load()
	for _, sa := range sas {
		if sa.standby.Load() {
			continue
		}
		if first == nil {
			first = sa
			if len(sas) == 1 {
				return sa
			}
		}
		if sa.Carries(packet) {
			return sa
		}
	}
	return first
}

func (p *tunPlane) Activate(spiIn uint32) {
	for _, sa := range *p.sas.Load() {
		if sa.spiIn == spiIn {
			sa.Activate()
		}
	}
}

// Moved keeps the gateway's packets out of the tunnel where its address
// changed.
func (p *tunPlane) Moved(local, gateway netip.AddrPort, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, from := p.cfg.Gateway, p.cfg.Local.Addr().Unmap().WithZone("")
	to := local.Addr().Unmap().WithZone("")
	p.cfg.Local = local
	if p.closing.Load() {
		return nil
	}
	if from.IsValid() && to.IsValid() && from != to {
		for _, sa := range *p.sas.Load() {
			sa.Readdress(from, to)
		}
		if err := p.resource(); err != nil {
			return err
		}
	}
	if before == gateway {
		return nil
	}
	p.cfg.Gateway = gateway
	for family := range p.rules {
		if err := p.addRule(family); err != nil {
			return err
		}
		old := p.rule(family, before)
		if err := ignore(p.nl.RuleDel(old), unix.ENOENT); err != nil {
			return fmt.Errorf("remove rule for %s: %w", before, err)
		}
	}
	return nil
}

// resource installs the routes anew, with the source address of now: the
// kernel removes those whose source went away.
func (p *tunPlane) resource() error {
	sas := *p.sas.Load()
	if p.cfg.NoRoutes || len(sas) == 0 {
		return nil
	}
	for dst := range p.routes {
		r := p.route(dst, sas[0])
		if err := p.nl.RouteReplace(r); err != nil {
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, p.name, p.cfg.Table, err)
		}
	}
	return nil
}

// route is the route to dst into the tunnel.
func (p *tunPlane) route(dst netip.Prefix, sa *SA) *netlink.Route {
	r := &netlink.Route{LinkIndex: p.link.Attrs().Index, Dst: ipNet(dst), Table: p.cfg.Table, Protocol: unix.RTPROT_STATIC, Scope: netlink.SCOPE_LINK}
	family := unix.AF_INET
	if dst.Addr().Is6() {
		family, r.Scope = unix.AF_INET6, netlink.SCOPE_UNIVERSE
	}
	if src := p.source(family, sa); src.IsValid() {
		r.Src = src.AsSlice()
	}
	return r
}

// watch notices that somebody removed the device: the kernel wakes a reader
// before it detaches the device, so that read may sleep on for ever.
func (p *tunPlane) watch() {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-p.finished:
			return
		case <-t.C:
		}
		conn, err := p.dev.File().SyscallConn()
		if err == nil {
			var ifr *unix.Ifreq
			var ioctl error
			if ifr, err = unix.NewIfreq(""); err == nil {
				err = conn.Control(func(fd uintptr) { ioctl = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, ifr) })
			}
			if err == nil {
				err = ioctl
			}
		}
		if err != nil {
			p.fail(err)
			return
		}
	}
}

// fail ends the plane because of its device.
func (p *tunPlane) fail(err error) {
	if p.closing.Load() {
		return
	}
	err = fmt.Errorf("TUN device %s is gone: %w", p.name, err)
	if p.failure.CompareAndSwap(nil, &err) {
		p.log.Error(err.Error())
		go p.Close()
	}
}

// Receive carries a packet from the gateway to the device.
func (p *tunPlane) Receive(pkt []byte) {
	spi, ok := SPI(pkt)
	if !ok {
		p.counters.malformed.Add(1)
		return
	}
	for _, sa := range *p.sas.Load() {
		if sa.spiIn != spi {
			continue
		}
		inner, authentic, err := sa.openCounted(pkt)
		if authentic && p.cfg.Authenticated != nil {
			p.cfg.Authenticated()
		}
		if err != nil {
			p.esp.Debug("dropped a packet: " + err.Error())
			return
		}
		if err := p.deliver(pkt, inner, headerSize+sa.ivIn); err != nil && !p.closing.Load() {
			p.counters.failed.Add(1)
			p.log.Debug("writing to " + p.name + " failed: " + err.Error())
		}
		return
	}
	p.counters.unknown.Add(1)
}

// deliver writes inner, the view of pkt from at, to the device; the library
// overwrites the octets in front of it.
func (p *tunPlane) deliver(pkt, inner []byte, at int) error {
	if end := at + len(inner); at >= tunOffset && end <= len(pkt) && &pkt[at] == &inner[0] {
		_, err := p.dev.Write([][]byte{pkt[at-tunOffset : end : end]}, tunOffset)
		return err
	}
	buf := make([]byte, tunOffset+len(inner))
	copy(buf[tunOffset:], inner)
	_, err := p.dev.Write([][]byte{buf}, tunOffset)
	return err
}

func (p *tunPlane) Install(c Child) error {
	sa, err := NewSA(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	have := *p.sas.Load()
	switch {
	case p.closing.Load():
		sa.Close()
		return ErrClosed
	case len(have) >= maxSAs:
		sa.Close()
		return fmt.Errorf("install ESP SA: %d stand already, remove old ones", len(have))
	case slices.ContainsFunc(have, func(o *SA) bool { return o.spiIn == sa.spiIn }):
		sa.Close()
		return fmt.Errorf("install ESP SA: SPI %08x is in use", sa.spiIn)
	}
	all := append([]*SA{sa}, have...)
	p.sas.Store(&all)
	if p.cfg.NoRoutes {
		return nil
	}
	return p.addRoutes(p.link, sa)
}

func (p *tunPlane) Remove(spiIn uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep []*SA
	found := false
	for _, sa := range *p.sas.Load() {
		if sa.spiIn == spiIn {
			found = true
			p.gone.Add(sa.Stats())
			sa.Close()
			continue
		}
		keep = append(keep, sa)
	}
	p.sas.Store(&keep)
	return found
}

func (p *tunPlane) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.gone
	s.Add(p.counters.stats())
	for _, sa := range *p.sas.Load() {
		s.Add(sa.Stats())
	}
	return s
}

func (p *tunPlane) Done() <-chan struct{} { return p.done }

func (p *tunPlane) Err() error {
	if e := p.failure.Load(); e != nil {
		return *e
	}
	return nil
}

func (p *tunPlane) Close() error {
	p.once.Do(func() {
		p.closing.Store(true)
		p.closeErr = p.rollback()
		<-p.finished
		p.mu.Lock()
		var none []*SA
		for _, sa := range *p.sas.Load() {
			p.gone.Add(sa.Stats())
			sa.Close()
		}
		p.sas.Store(&none)
		p.mu.Unlock()
		close(p.done)
	})
	<-p.done
	return p.closeErr
}

// rollback removes what was made, in reverse order, and closes the device.
func (p *tunPlane) rollback() error {
	var errs []error
	for i := len(p.undo) - 1; i >= 0; i-- {
		if err := p.undo[i](); err != nil {
			errs = append(errs, err)
		}
	}
	p.undo = nil
	if p.dev != nil {
		if err := p.dev.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close TUN device %s: %w", p.name, err))
		}
	}
	if p.nl != nil {
		p.nl.Close()
	}
	if len(errs) > 0 {
		return fmt.Errorf("remove TUN data plane: %w", errors.Join(errs...))
	}
	return nil
}

// RemoveStale removes the rules that a plane with that Config left behind when
// its process was killed; its device and routes went with the process. Nothing
// to remove is no error.
func RemoveStale(cfg Config) error {
	if cfg.Table == 0 {
		cfg.Table = DefaultTable
	}
	if cfg.Priority == 0 {
		cfg.Priority = DefaultPriority
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer nl.Close()
	p := &tunPlane{cfg: cfg, nl: nl}
	var errs []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		errs = append(errs, ignore(nl.RuleDel(p.rule(family, cfg.Gateway)), unix.ENOENT, unix.EAFNOSUPPORT))
	}
	return errors.Join(errs...)
}
