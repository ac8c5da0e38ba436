package batch

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Writer sends datagrams through one socket. It is safe for concurrent use.
type Writer struct {
	fd  *net.UDPConn
	rc  syscall.RawConn
	try func(fd uintptr) bool

	mu     sync.Mutex
	single bool // the kernel takes no runs
	hdr    unix.Msghdr
	iovs   [MaxSegments]unix.Iovec
	// oob is two control messages, each of 2 or 4 octets, aligned: the size of the
	// datagrams of a run, and the traffic class.
	oob   [2 * oneCmsg]byte
	class byte // of the socket
	is6   bool // the socket is of IPv6
	name4 unix.RawSockaddrInet4
	name6 unix.RawSockaddrInet6
	err   error
}

// oneCmsg is the octets of a control message with up to 8 octets of data.
const oneCmsg = unix.SizeofCmsghdr + 8

// NewWriter returns a Writer of fd, which stays the caller's.
func NewWriter(fd *net.UDPConn) (*Writer, error) {
	rc, err := fd.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Writer{fd: fd, rc: rc}
	if err := rc.Control(func(fd uintptr) {
		sa, err := unix.Getsockname(int(fd))
		_, w.is6 = sa.(*unix.SockaddrInet6)
		w.single = err != nil
		w.class = socketClass(int(fd), w.is6)
		enlarge(int(fd), unix.SO_SNDBUF, unix.SO_SNDBUFFORCE)
	}); err != nil {
		return nil, err
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&w.oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	h = (*unix.Cmsghdr)(unsafe.Pointer(&w.oob[oneCmsg]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TOS
	if w.is6 {
		h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	h.SetLen(unix.CmsgLen(4))
	w.hdr.Iov = &w.iovs[0]
	w.try = func(fd uintptr) bool {
		for {
			_, _, errno := unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&w.hdr)), unix.MSG_DONTWAIT)
			switch errno {
			case 0:
				w.err = nil
				return true
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				w.err = errno
				return true
			}
		}
	}
	return w, nil
}

// socketClass is the traffic class that a socket sends with.
func socketClass(fd int, is6 bool) byte {
	level, option := unix.IPPROTO_IP, unix.IP_TOS
	if is6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	c, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return 0
	}
	return byte(max(c, 0))
}

// ClearDF sends what follows without the don't fragment bit of IPv4.
func (w *Writer) ClearDF() error {
	var err error
	if e := w.rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	}); e != nil {
		return e
	}
	return err
}

// Write sends packets to an address, in order, with the traffic class of the socket,
// and does not keep them. Where it fails it returns the first error, and has sent what
// could be sent.
func (w *Writer) Write(to netip.AddrPort, packets ...[]byte) error {
	return w.WriteClass(w.class, to, packets...)
}

// WriteClass is Write with another traffic class.
func (w *Writer) WriteClass(class byte, to netip.AddrPort, packets ...[]byte) (first error) {
	for len(packets) > 0 {
		n := run(packets)
		if err := w.writeRun(class, to, packets[:n]); err != nil && first == nil {
			first = err
		}
		packets = packets[n:]
	}
	return first
}

func (w *Writer) writeRun(class byte, to netip.AddrPort, packets [][]byte) error {
	if len(packets) > 1 {
		if sent, err := w.writeJoined(class, to, packets); sent {
			return err
		}
	}
	var first error
	for i, b := range packets {
		if class != w.class {
			if sent, err := w.writeJoined(class, to, packets[i:i+1]); sent {
				if first == nil {
					first = err
				}
				continue
			}
		}
		if _, err := w.fd.WriteToUDPAddrPort(b, to); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// writeJoined sends packets in one piece; it reports false where they have to go
// one by one and without a class: not in this kernel, not on this device, or the path
// is narrower than the packets.
func (w *Writer) writeJoined(class byte, to netip.AddrPort, packets [][]byte) (sent bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.single && len(packets) > 1 || !w.address(to) {
		return false, nil
	}
	w.control(class, len(packets))
	for i, b := range packets {
		w.iovs[i].Base = unsafe.SliceData(b)
		w.iovs[i].SetLen(len(b))
	}
	w.hdr.SetIovlen(len(packets))
	binary.NativeEndian.PutUint16(w.oob[unix.CmsgLen(0):], uint16(len(packets[0])))
	if err := w.rc.Write(w.try); err != nil {
		return true, err
	}
	clear(w.iovs[:len(packets)])
	if w.err == nil {
		return true, nil
	}
	if len(packets) == 1 {
		return false, nil
	}
	for _, e := range []syscall.Errno{unix.EOPNOTSUPP, unix.ENOTSUP, unix.EINVAL, unix.EIO, unix.EMSGSIZE, unix.ENOPROTOOPT} {
		w.single = w.single || errors.Is(w.err, e)
	}
	return false, nil
}

// control says which control messages go with n packets.
func (w *Writer) control(class byte, n int) {
	first, octets := 0, 0
	if n > 1 {
		octets = unix.CmsgSpace(2)
	} else {
		first = oneCmsg
	}
	if class != w.class {
		binary.NativeEndian.PutUint32(w.oob[oneCmsg+unix.CmsgLen(0):], uint32(class))
		octets += unix.CmsgSpace(4)
	}
	w.hdr.Control = &w.oob[first]
	w.hdr.SetControllen(octets)
}

// address fills the header with the address; it reports whether the socket has
// its family.
func (w *Writer) address(to netip.AddrPort) bool {
	port := swapped(to.Port())
	switch a := to.Addr(); {
	case !w.is6 && (a.Is4() || a.Is4In6()):
		w.name4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: a.As4()}
		w.hdr.Name, w.hdr.Namelen = (*byte)(unsafe.Pointer(&w.name4)), unix.SizeofSockaddrInet4
	case w.is6 && a.Is6() && a.Zone() == "":
		w.name6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: a.As16()}
		w.hdr.Name, w.hdr.Namelen = (*byte)(unsafe.Pointer(&w.name6)), unix.SizeofSockaddrInet6
	default:
		return false
	}
	return true
}
