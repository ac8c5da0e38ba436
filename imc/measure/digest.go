package measure

import (
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	blockSize = 1 << 20 // of one read: it stays in a core's cache between reading and hashing
	blocks    = 3       // of a file that is read ahead
	readAhead = 4 << 20 // files of this size are read ahead
	attempts  = 3       // at a file that changes while it is read
)

// hasher is what a worker holds.
type hasher struct {
	alg    pts.HashAlgorithms
	hash   hash.Hash
	blocks [blocks][]byte // allocated at first use
	ahead  bool           // no other worker runs: read on another core
}

func (h *hasher) block(i int) []byte {
	if h.blocks[i] == nil {
		h.blocks[i] = make([]byte, blockSize)
	}
	return h.blocks[i]
}

// digest appends the digest of a regular file to out. A file that changes
// meanwhile is read again; one that keeps changing has the digest of what was
// read at last, as with strongSwan, and a line in the log.
func (r *request) digest(n *node, h *hasher, out []byte) ([]byte, error) {
	if !n.is(unix.S_IFREG) {
		return out, errNotRegular
	}
	if err := r.permits(n); err != nil {
		return out, err
	}
	size := h.hash.Size()
	if buf := append(out, make([]byte, size)...); r.cache.get(stateOf(&n.stat), h.alg, buf[len(out):]) {
		return buf, nil
	}
	fd, err := n.open(r.ctx, false)
	if err != nil {
		return out, err
	}
	defer unix.Close(fd)
	for try := 1; ; try++ {
		var before, after unix.Stat_t
		started := r.cache.start()
		if err := unix.Fstat(fd, &before); err != nil {
			return out, err
		}
		if before.Size > r.left.Load() {
			return out, r.tooMuch()
		}
		h.hash.Reset()
		octets, err := r.stream(fd, h, before.Size)
		if err != nil {
			return out, err
		}
		if err := unix.Fstat(fd, &after); err != nil {
			return out, err
		}
		unchanged := stateOf(&before) == stateOf(&after)
		if !unchanged && try < attempts {
			if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
				return out, err
			}
			continue
		}
		sum := h.hash.Sum(out)
		switch {
		case !unchanged:
			log.Infof(r.log, "  file %s changes while it is measured", quote(n.path))
		case octets == before.Size:
			r.cache.put(stateOf(&before), h.alg, sum[len(out):], started)
		}
		return sum, nil
	}
}

func (r *request) tooMuch() error {
	return fmt.Errorf("%w (measure_max_bytes = %d)", ErrTooMuch, r.limits.MaxBytes)
}

// read fills block, or reads up to the end of the file.
func (r *request) read(fd int, block []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	for {
		n, err := unix.Read(fd, block)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		}
		n = max(n, 0)
		if r.left.Add(-int64(n)) < 0 {
			return 0, r.tooMuch()
		}
		return n, nil
	}
}

// stream hashes from fd to its end and returns the number of octets.
func (r *request) stream(fd int, h *hasher, size int64) (int64, error) {
	if size >= readAhead {
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_SEQUENTIAL)
		if h.ahead {
			return r.streamAhead(fd, h)
		}
	}
	block := h.block(0)
	var total int64
	for {
		n, err := r.read(fd, block)
		if n == 0 || err != nil {
			return total, err
		}
		h.hash.Write(block[:n])
		total += int64(n)
	}
}

// streamAhead reads on one core what another hashes.
func (r *request) streamAhead(fd int, h *hasher) (int64, error) {
	type filled struct {
		block []byte
		err   error
	}
	free, full, stop := make(chan []byte, blocks), make(chan filled, blocks), make(chan struct{})
	for i := range blocks {
		free <- h.block(i)
	}
	go func() {
		defer close(full)
		for {
			var b []byte
			select {
			case b = <-free:
			case <-stop:
				return
			}
			n, err := r.read(fd, b)
			if n == 0 && err == nil {
				return
			}
			full <- filled{b[:n], err} // never blocks: as many places as blocks
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		close(stop)
		for range full { // until the reader is gone: fd and blocks are its own
		}
	}()
	var total int64
	for f := range full {
		if f.err != nil {
			return total, f.err
		}
		h.hash.Write(f.block)
		total += int64(len(f.block))
		free <- f.block[:blockSize]
	}
	return total, nil
}
