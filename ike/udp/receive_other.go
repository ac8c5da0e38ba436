//go:build !linux

package udp

import (
	"errors"
	"net"
	"net/netip"
)

// receiver reads a socket datagram by datagram.
type receiver struct {
	fd   *net.UDPConn
	buf  []byte
	n    int
	from netip.AddrPort
}

func newReceiver(fd *net.UDPConn) (*receiver, error) {
	return &receiver{fd: fd, buf: make([]byte, maxDatagram)}, nil
}

func (r *receiver) receive() (_ int, err error) {
	if r.n, r.from, err = r.fd.ReadFromUDPAddrPort(r.buf); err != nil {
		return 0, err
	}
	return 1, nil
}

func (r *receiver) message(int) (b []byte, size int, from netip.AddrPort) {
	return r.buf[:r.n], 0, r.from
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
