package batch

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBatch is how many messages one system call brings, of up to 64
// datagrams each where the kernel joins them.
const receiveBatch = 16

// bufferSize is the octets that a socket holds while its reader or the device
// does something else: 10 ms at 5 Gbit/s.
const bufferSize = 7 << 20

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// Reader reads one socket. It is for one goroutine.
type Reader struct {
	rc    syscall.RawConn
	try   func(fd uintptr) bool
	msgs  [receiveBatch]mmsghdr
	iovs  [receiveBatch]unix.Iovec
	names [receiveBatch]unix.RawSockaddrInet6 // large enough for IPv4 too
	oobs  [receiveBatch][64]byte
	bufs  [receiveBatch][]byte
	n     int
	err   error
}

// NewReader returns a Reader of fd, which stays the caller's, and asks the kernel
// to hand over datagrams of a flow in one piece where it can.
func NewReader(fd *net.UDPConn) (*Reader, error) {
	rc, err := fd.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		enlarge(int(fd), unix.SO_RCVBUF, unix.SO_RCVBUFFORCE)
	}); err != nil {
		return nil, err
	}
	r := &Reader{rc: rc}
	for i := range r.msgs {
		r.bufs[i] = make([]byte, maxDatagram)
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(maxDatagram)
	}
	r.try = func(fd uintptr) bool {
		for {
			n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.msgs[0])), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
			switch errno {
			case 0:
				r.n, r.err = int(n), nil
				return true
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				r.n, r.err = 0, errno
				return true
			}
		}
	}
	return r, nil
}

// enlarge gives the socket the buffer of bufferSize, or what net.core.rmem_max or
// wmem_max allow where the process may not exceed them.
func enlarge(fd, option, force int) {
	if have, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err == nil && have >= bufferSize {
		return
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bufferSize) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, bufferSize)
	}
}

// Read waits for messages, and returns how many came.
func (r *Reader) Read() (int, error) {
	for i := range r.msgs {
		h := &r.msgs[i].hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.names[i])), unix.SizeofSockaddrInet6
		h.Iov, h.Control = &r.iovs[i], &r.oobs[i][0]
		h.SetIovlen(1)
		h.SetControllen(len(r.oobs[i]))
	}
	if err := r.rc.Read(r.try); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// Message returns the i-th message of the last Read: one datagram, or several of
// size octets, the last of which may be shorter, where size is not 0, and the traffic
// class of its IP header. It is valid, and may be changed, until the next Read.
func (r *Reader) Message(i int) (b []byte, size int, class byte, from netip.AddrPort) {
	m := &r.msgs[i]
	b = r.bufs[i][:m.len]
	if size, class = said(r.oobs[i][:m.hdr.Controllen]); size < 0 || size >= len(b) {
		size = 0
	}
	name := &r.names[i]
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		from = netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), swapped(v4.Port))
	case unix.AF_INET6:
		from = netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), swapped(name.Port))
	}
	return b, size, class, from
}

// swapped is a port in network order as a number.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// said is what the control messages say: the size of UDP_GRO and the traffic class; 0
// where they do not.
func said(oob []byte) (size int, class byte) {
	for b := oob; len(b) >= unix.SizeofCmsghdr; {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		l := int(h.Len)
		if l < unix.SizeofCmsghdr || l > len(b) {
			break
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && l >= unix.CmsgLen(4) {
			size = int(int32(binary.NativeEndian.Uint32(b[unix.CmsgLen(0):])))
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && l >= unix.CmsgLen(1):
			class = b[unix.CmsgLen(0)]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && l >= unix.CmsgLen(4):
			class = byte(binary.NativeEndian.Uint32(b[unix.CmsgLen(0):]))
		}
		b = b[min(len(b), unix.CmsgSpace(l-unix.CmsgLen(0))):]
	}
	return size, class
}

// IsClosed reports whether a Read failed because the socket was closed.
func IsClosed(err error) bool { return errors.Is(err, net.ErrClosed) || errors.Is(err, unix.EBADF) }
