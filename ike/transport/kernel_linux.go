package transport

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// udpEncapESPinUDP is UDP_ENCAP_ESPINUDP of linux/udp.h.
const udpEncapESPinUDP = 2

// KernelESP hands UDP-encapsulated ESP to the kernel's states. It is for a
// connection whose IKE goes behind the non-ESP marker, and also holds for
// sockets of later addresses.
func (c *Conn) KernelESP() error {
	if c.tcp != nil {
		return ErrKernelESP
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kernel = true
	return kernelESP(c.sockets())
}

// Bypass exempts the sockets from the kernel's policies, so that IKE never
// enters the tunnel. It also holds for sockets of later addresses.
func (c *Conn) Bypass() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exempt = true
	if c.tcp != nil {
		return c.tcp.bypass()
	}
	return exempt(c.sockets())
}

// bypassed reports whether Bypass was called.
func (c *Conn) bypassed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exempt
}

func exempt(p *socketPair) error {
	for _, fd := range []*net.UDPConn{p.ike, p.natt} {
		if err := bypass(fd, p.ikeAt.Addr().Is4()); err != nil {
			return fmt.Errorf("exempt the IKE socket from IPsec policies: %w", err)
		}
	}
	return nil
}

func kernelESP(p *socketPair) error {
	return control1(p.natt, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_ENCAP, udpEncapESPinUDP); err != nil {
			return fmt.Errorf("enable UDP decapsulation in the kernel: %w", err)
		}
		return nil
	})
}

func control1(c syscall.Conn, f func(fd int) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := rc.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// bypass sets a policy of the socket itself that lets everything pass.
func bypass(c syscall.Conn, ipv4 bool) error {
	level, option, family := unix.IPPROTO_IPV6, unix.IPV6_XFRM_POLICY, uint16(unix.AF_INET6)
	if ipv4 {
		level, option, family = unix.IPPROTO_IP, unix.IP_XFRM_POLICY, unix.AF_INET
	}
	return control1(c, func(fd int) error {
		for _, dir := range []uint8{0, 1} { // in, out
			p := nl.XfrmUserpolicyInfo{Dir: dir, Sel: nl.XfrmSelector{Family: family}}
			b := (*[unsafe.Sizeof(p)]byte)(unsafe.Pointer(&p))[:]
			if err := unix.SetsockoptString(fd, level, option, string(b)); err != nil {
				return err
			}
		}
		return nil
	})
}
