package esp

// replayWindow is the anti-replay window of RFC 4303 section 3.4.3 over 64-bit
// sequence numbers; without extended ones the high half stays 0.
type replayWindow struct {
	top  uint64 // highest sequence number accepted
	size uint64
	bits []uint64 // bit n%size: sequence number n was accepted, for n in (top-size, top]
}

func newReplayWindow(packets int) *replayWindow {
	if packets < DefaultReplayWindow {
		packets = DefaultReplayWindow
	}
	words := (min(packets, MaxReplayWindow) + 63) / 64
	return &replayWindow{size: uint64(words) * 64, bits: make([]uint64, words)}
}

// extend guesses the high half of an extended sequence number, which is not in
// the packet (RFC 4303 appendix A2).
func (w *replayWindow) extend(low uint32) uint64 {
	top, high := uint32(w.top), w.top>>32
	bottom := top - uint32(w.size) + 1 // wraps
	if top >= uint32(w.size)-1 {
		if low < bottom {
			high++
		}
	} else if low >= bottom && high > 0 {
		high--
	}
	return high<<32 | uint64(low)
}

// fresh reports whether seq may be accepted. A sender never uses 0.
func (w *replayWindow) fresh(seq uint64) bool {
	switch {
	case seq == 0:
		return false
	case seq > w.top:
		return true
	case w.top-seq >= w.size:
		return false
	}
	i := seq % w.size
	return w.bits[i/64]&(1<<(i%64)) == 0
}

// accept marks seq, which is fresh and whose packet authenticated.
func (w *replayWindow) accept(seq uint64) {
	if seq > w.top {
		if seq-w.top >= w.size {
			clear(w.bits)
		} else {
			for n := w.top + 1; n != seq; n++ {
				i := n % w.size
				w.bits[i/64] &^= 1 << (i % 64)
			}
		}
		w.top = seq
	}
	i := seq % w.size
	w.bits[i/64] |= 1 << (i % 64)
}
