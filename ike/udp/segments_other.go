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

func segments(b []byte, _ int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield(b) }
}
