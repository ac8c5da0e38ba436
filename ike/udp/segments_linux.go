package udp

import (
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// enableGRO asks the kernel to hand over datagrams of a flow in one piece,
// where it can (UDP_GRO, Linux 5.0).
func (c *Conn) enableGRO(fd *net.UDPConn) bool {
	rc, err := fd.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	if err := rc.Control(func(fd uintptr) {
		ok = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
	}); err != nil {
		return false
	}
	return ok
}

// sendSegments sends b as datagrams of size octets; the last may be shorter.
func sendSegments(fd *net.UDPConn, b []byte, size int, to netip.AddrPort) error {
	var oob [unix.SizeofCmsghdr + 8]byte // 2 octets, aligned
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
	_, _, err := fd.WriteMsgUDPAddrPort(b, oob[:unix.CmsgSpace(2)], to)
	return err
}

// readSegments reads one datagram, or several of equal size (the last may be
// shorter) where size is not 0.
func readSegments(fd *net.UDPConn, buf, oob []byte, gro bool) (n, size int, from netip.AddrPort, err error) {
	if !gro {
		n, from, err = fd.ReadFromUDPAddrPort(buf)
		return n, 0, from, err
	}
	n, oobn, _, from, err := fd.ReadMsgUDPAddrPort(buf, oob)
	if err != nil || oobn == 0 {
		return n, 0, from, err
	}
	// One control message at most, walked without allocating.
	for b := oob[:oobn]; len(b) >= unix.SizeofCmsghdr; {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		l := int(h.Len)
		if l < unix.SizeofCmsghdr || l > len(b) {
			break
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && l >= unix.CmsgLen(4) {
			size = int(int32(binary.NativeEndian.Uint32(b[unix.CmsgLen(0):])))
		}
		b = b[min(len(b), unix.CmsgSpace(l-unix.CmsgLen(0))):]
	}
	if size < 0 || size >= n {
		size = 0
	}
	return n, size, from, nil
}

// segments takes apart what readSegments read.
func segments(b []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if size <= 0 {
			yield(b)
			return
		}
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}
