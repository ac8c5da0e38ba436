//go:build !linux

package udp

import (
	"errors"
	"iter"
	"net"
	"net/netip"
)

func (c *Conn) enableGRO(*net.UDPConn) bool { return false }

func sendSegments(*net.UDPConn, []byte, int, netip.AddrPort) error { return errors.ErrUnsupported }

func readSegments(fd *net.UDPConn, buf, _ []byte, _ bool) (n, size int, from netip.AddrPort, err error) {
	n, from, err = fd.ReadFromUDPAddrPort(buf)
	return n, 0, from, err
}

func segments(b []byte, _ int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield(b) }
}
