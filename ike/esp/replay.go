package esp

// replayWindow is the anti-replay window of RFC 4303 §3.4.3 for 32-bit
// sequence numbers.
type replayWindow struct {
	top  uint32 // highest sequence number accepted
	size uint32
	bits []uint64 // bit n%size: sequence number n was accepted, for n in (top-size, top]
}

func newReplayWindow(packets int) *replayWindow {
	if packets < DefaultReplayWindow {
		packets = DefaultReplayWindow
	}
	words := (min(packets, MaxReplayWindow) + 63) / 64
	return &replayWindow{size: uint32(words) * 64, bits: make([]uint64, words)}
}

// fresh reports whether seq may be accepted. A sender never uses 0.
func (w *replayWindow) fresh(seq uint32) bool {
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
func (w *replayWindow) accept(seq uint32) {
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
