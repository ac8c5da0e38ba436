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

// segments takes apart what came in one piece.
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
