//go:build !linux

package batch

import (
	"errors"
	"net"
	"net/netip"
)

// Reader reads one socket. It is for one goroutine.
type Reader struct {
	fd   *net.UDPConn
	buf  []byte
	n    int
	from netip.AddrPort
}

// NewReader returns a Reader of fd, which stays the caller's.
func NewReader(fd *net.UDPConn) (*Reader, error) {
	return &Reader{fd: fd, buf: make([]byte, maxDatagram)}, nil
}

// Read waits for a message, and returns how many came.
func (r *Reader) Read() (_ int, err error) {
	if r.n, r.from, err = r.fd.ReadFromUDPAddrPort(r.buf); err != nil {
		return 0, err
	}
	return 1, nil
}

// Message returns the message of the last Read, which is valid, and may be
// changed, until the next one; size and class are 0.
func (r *Reader) Message(int) (b []byte, size int, class byte, from netip.AddrPort) {
	return r.buf[:r.n], 0, 0, r.from
}

// IsClosed reports whether a Read failed because the socket was closed.
func IsClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// Writer sends datagrams through one socket. It is safe for concurrent use.
type Writer struct{ fd *net.UDPConn }

// NewWriter returns a Writer of fd, which stays the caller's.
func NewWriter(fd *net.UDPConn) (*Writer, error) { return &Writer{fd}, nil }

// WriteClass is Write: the traffic class is the socket's.
func (w *Writer) WriteClass(_ byte, to netip.AddrPort, packets ...[]byte) error {
	return w.Write(to, packets...)
}

// ClearDF is not possible here.
func (w *Writer) ClearDF() error { return errors.ErrUnsupported }

// Write sends packets to an address, in order, and does not keep them. Where it
// fails it returns the first error, and has sent what could be sent.
func (w *Writer) Write(to netip.AddrPort, packets ...[]byte) (first error) {
	for _, b := range packets {
		if _, err := w.fd.WriteToUDPAddrPort(b, to); err != nil && first == nil {
			first = err
		}
	}
	return first
}
