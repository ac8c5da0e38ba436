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
	oob    [unix.SizeofCmsghdr + 8]byte // 2 octets, aligned
	is6    bool                         // the socket is of IPv6
	name4  unix.RawSockaddrInet4
	name6  unix.RawSockaddrInet6
	err    error
}

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
		enlarge(int(fd), unix.SO_SNDBUF, unix.SO_SNDBUFFORCE)
	}); err != nil {
		return nil, err
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&w.oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	w.hdr.Control, w.hdr.Iov = &w.oob[0], &w.iovs[0]
	w.hdr.SetControllen(unix.CmsgSpace(2))
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

// Write sends packets to an address, in order, and does not keep them. Where it
// fails it returns the first error, and has sent what could be sent.
func (w *Writer) Write(to netip.AddrPort, packets ...[]byte) (first error) {
	for len(packets) > 0 {
		n := run(packets)
		if err := w.writeRun(to, packets[:n]); err != nil && first == nil {
			first = err
		}
		packets = packets[n:]
	}
	return first
}

func (w *Writer) writeRun(to netip.AddrPort, packets [][]byte) error {
	if len(packets) > 1 {
		if sent, err := w.writeJoined(to, packets); sent {
			return err
		}
	}
	var first error
	for _, b := range packets {
		if _, err := w.fd.WriteToUDPAddrPort(b, to); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// writeJoined sends packets in one piece; it reports false where they have to go
// one by one: not in this kernel, not on this device, or the path is narrower
// than the packets.
func (w *Writer) writeJoined(to netip.AddrPort, packets [][]byte) (sent bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.single || !w.address(to) {
		return false, nil
	}
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
	for _, e := range []syscall.Errno{unix.EOPNOTSUPP, unix.ENOTSUP, unix.EINVAL, unix.EIO, unix.EMSGSIZE, unix.ENOPROTOOPT} {
		w.single = w.single || errors.Is(w.err, e)
	}
	return false, nil
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
