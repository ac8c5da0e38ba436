// Package batch reads and writes many UDP datagrams in one system call: runs of
// equal size that the kernel cuts (UDP_SEGMENT, Linux 4.18) and joins (UDP_GRO,
// Linux 5.0), several of them in one call of recvmmsg(2). Nothing is allocated on
// the way of a packet. Systems other than Linux read and write one by one.
package batch

const (
	// MaxSegments is how many datagrams of a run the kernel takes or gives in one
	// piece (UDP_MAX_SEGMENTS).
	MaxSegments = 64

	maxDatagram = 65535 // octets
	// maxRun is how many octets of payload a run may have: they travel as one IP
	// packet as far as the device.
	maxRun = maxDatagram - 100
)

// run returns how many packets from the first on go in one piece: of equal size,
// the last one may be shorter.
func run(packets [][]byte) (n int) {
	size, total := len(packets[0]), 0
	for _, b := range packets {
		if len(b) > size || n == MaxSegments || total+len(b) > maxRun {
			return max(n, 1)
		}
		n++
		total += len(b)
		if len(b) < size {
			return n
		}
	}
	return n
}

// Segments appends the datagrams that came in one piece to dst, as views of b:
// size octets each, the last may be shorter; b alone where size is 0.
func Segments(dst [][]byte, b []byte, size int) [][]byte {
	if size <= 0 {
		return append(dst, b)
	}
	for len(b) > 0 {
		n := min(size, len(b))
		dst = append(dst, b[:n:n])
		b = b[n:]
	}
	return dst
}
