package esp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike/message"
)

// SA is the pair of ESP SAs of one CHILD_SA in tunnel mode. It is safe for
// concurrent use; each direction serialises its packets.
type SA struct {
	spiIn    uint32
	spiOut   uint32
	local    atomic.Pointer[[]message.TrafficSelector] // Readdress replaces them
	remote   []message.TrafficSelector
	counters counters
	copies   ClassCopy
	// authenticated is Config.Authenticated, or nil.
	authenticated func()

	outMu  sync.Mutex
	out    Cipher // nil once closed
	seq    uint64 // of the last packet sent
	esn    bool
	ivOut  int
	icvOut int
	block  int

	inMu   sync.Mutex
	in     Cipher
	ivIn   int
	icvIn  int
	window *replayWindow

	// standby: it receives, and sends from the first packet received on.
	standby atomic.Bool
}

// NewSA makes the pair. It owns the ciphers of c where it succeeds.
func NewSA(c Config) (*SA, error) {
	local, remote := ranges(c.LocalTS), ranges(c.RemoteTS)
	switch {
	case c.In == nil || c.Out == nil:
		return nil, errors.New("make ESP SA: a cipher is missing")
	case c.SPIIn < MinSPI || c.SPIOut < MinSPI:
		return nil, fmt.Errorf("make ESP SA: SPIs %08x and %08x: below %d are reserved", c.SPIIn, c.SPIOut, MinSPI)
	case len(local) == 0 || len(remote) == 0:
		return nil, errors.New("make ESP SA: traffic selectors are missing")
	}
	for _, ts := range [][]message.TrafficSelector{local, remote} {
		for _, s := range ts {
			if !s.Start.IsValid() || !s.End.IsValid() || s.Start.BitLen() != s.End.BitLen() || s.End.Less(s.Start) {
				return nil, fmt.Errorf("make ESP SA: traffic selector %v-%v is no range of addresses", s.Start, s.End)
			}
		}
	}
	s := &SA{
		esn: c.ESN, spiIn: c.SPIIn, spiOut: c.SPIOut, in: c.In, out: c.Out,
		remote: remote, window: newReplayWindow(c.ReplayWindow), authenticated: c.Authenticated,
		ivOut: c.Out.IVSize(), icvOut: c.Out.ICVSize(), block: max(c.Out.BlockSize(), 4),
		ivIn: c.In.IVSize(), icvIn: c.In.ICVSize(),
	}
	s.local.Store(&local)
	s.standby.Store(c.Standby)
	return s, nil
}

// SPIs returns the inbound and the outbound SPI.
func (s *SA) SPIs() (in, out uint32) { return s.spiIn, s.spiOut }

// Carries reports whether an IP packet fits the traffic selectors of s.
func (s *SA) Carries(packet []byte) bool {
	return Matches(packet, *s.local.Load(), s.remote)
}

// LocalTS returns the traffic selectors of this host, RemoteTS those of what
// lies behind the gateway. They must not be changed.
func (s *SA) LocalTS() []message.TrafficSelector { return *s.local.Load() }

// RemoteTS is described at LocalTS.
func (s *SA) RemoteTS() []message.TrafficSelector { return s.remote }

// Readdress replaces the host address from by to in the local traffic
// selectors, which follow the outer address (MOBIKE, RFC 4555).
func (s *SA) Readdress(from, to netip.Addr) {
	local := slices.Clone(*s.local.Load())
	for i := range local {
		if local[i].Start == from && local[i].End == from {
			local[i].Start, local[i].End = to, to
		}
	}
	s.local.Store(&local)
}

// Standby reports whether the SA only receives for now.
func (s *SA) Standby() bool { return s.standby.Load() }

// Activate lets an SA on standby send.
func (s *SA) Activate() { s.standby.Store(false) }

// Stats returns what was carried and dropped.
func (s *SA) Stats() Stats { return s.counters.stats() }

// Headroom is the number of octets that SealInPlace needs in front of a packet.
func (s *SA) Headroom() int { return headerSize + s.ivOut }

// Tailroom is the number of octets that SealInPlace needs after a packet, at
// most.
func (s *SA) Tailroom() int { return s.block - 1 + trailerSize + s.icvOut }

// InnerOffset is the number of octets of an ESP packet in front of the IP packet
// in it.
func (s *SA) InnerOffset() int { return headerSize + s.ivIn }

// Seal appends the ESP packet that carries the IP packet to dst.
func (s *SA) Seal(dst, packet []byte) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, s.Headroom()+len(packet)+s.Tailroom())
	dst = dst[:start+s.Headroom()+len(packet)]
	copy(dst[start+s.Headroom():], packet)
	pkt, err := s.SealInPlace(dst[start:], s.Headroom(), len(packet))
	if err != nil {
		return dst[:start], err
	}
	return dst[:start+len(pkt)], nil
}

// SealInPlace makes the ESP packet that carries the IP packet in
// buf[at:at+n]. At has to be at least Headroom, and buf's capacity has to
// exceed at+n by Tailroom. The result is a view of buf.
func (s *SA) SealInPlace(buf []byte, at, n int) ([]byte, error) {
	pkt, err := s.seal(buf, at, n)
	if err != nil {
		s.counters.drop(err)
		return nil, err
	}
	s.counters.outPackets.Add(1)
	s.counters.outBytes.Add(uint64(n))
	return pkt, nil
}

func (s *SA) seal(buf []byte, at, n int) ([]byte, error) {
	if at < s.Headroom() || n < 0 || cap(buf)-at-n < s.Tailroom() {
		return nil, fmt.Errorf("seal ESP packet: the buffer is too small")
	}
	buf = buf[:cap(buf)]
	inner, f, err := parseIP(buf[at : at+n])
	if err != nil {
		return nil, fmt.Errorf("seal ESP packet: %w", err)
	}
	n = len(inner)
	if !anyMatches(*s.local.Load(), f.src, &f, f.sport) || !anyMatches(s.remote, f.dst, &f, f.dport) {
		return nil, ErrSelector
	}
	next := byte(nextIPv4)
	if !f.src.Is4() {
		next = nextIPv6
	}
	pad := 0
	if r := (n + trailerSize) % s.block; r != 0 {
		pad = s.block - r
	}
	end := at + n
	for i := range pad {
		buf[end+i] = byte(i + 1) // RFC 4303 section 2.4
	}
	end += pad
	buf[end], buf[end+1] = byte(pad), next
	end += trailerSize + s.icvOut
	pkt := buf[at-s.Headroom() : end : end]

	s.outMu.Lock()
	defer s.outMu.Unlock()
	if s.out == nil {
		return nil, ErrClosed
	}
	if s.seq == math.MaxUint32 && !s.esn || s.seq == math.MaxUint64 {
		return nil, ErrExhausted
	}
	s.seq++ // never used again, also where sealing fails
	binary.BigEndian.PutUint32(pkt, s.spiOut)
	binary.BigEndian.PutUint32(pkt[4:], uint32(s.seq))
	if err := s.out.Seal(pkt, uint32(s.seq>>32)); err != nil {
		return nil, fmt.Errorf("seal ESP packet: %w", err)
	}
	return pkt, nil
}

// Open verifies and decrypts an ESP packet in place and returns the IP packet
// in it, a view of pkt. The caller chose the SA by SPI.
func (s *SA) Open(pkt []byte) ([]byte, error) {
	inner, authentic, err := s.open(pkt)
	if authentic {
		s.counters.authentic.Add(1)
		if s.authenticated != nil {
			s.authenticated()
		}
	}
	if err != nil {
		s.counters.drop(err)
		return nil, err
	}
	s.counters.inPackets.Add(1)
	s.counters.inBytes.Add(uint64(len(inner)))
	return inner, nil
}

// open also reports whether the packet authenticated, delivered or not.
func (s *SA) open(pkt []byte) (inner []byte, authentic bool, err error) {
	spi, ok := SPI(pkt)
	if !ok || len(pkt) < headerSize+s.ivIn+trailerSize+s.icvIn {
		return nil, false, ErrMalformed
	}
	if spi != s.spiIn {
		return nil, false, ErrSPI
	}
	plain, err := s.verify(pkt, binary.BigEndian.Uint32(pkt[4:]))
	if err != nil {
		return nil, false, err
	}
	if len(plain) < trailerSize {
		return nil, true, ErrMalformed
	}
	pad, next := int(plain[len(plain)-2]), plain[len(plain)-1]
	if pad > len(plain)-trailerSize {
		return nil, true, fmt.Errorf("%w: bad padding", ErrMalformed)
	}
	end := len(plain) - trailerSize - pad
	for i, b := range plain[end : end+pad] {
		if b != byte(i+1) {
			return nil, true, fmt.Errorf("%w: bad padding", ErrMalformed)
		}
	}
	if next == nextDummy {
		return nil, true, ErrDummy
	}
	inner, f, err := parseIP(plain[:end])
	if err != nil {
		return nil, true, fmt.Errorf("open ESP packet: %w", err)
	}
	if next == nextIPv4 && !f.src.Is4() || next == nextIPv6 && f.src.Is4() || next != nextIPv4 && next != nextIPv6 {
		return nil, true, fmt.Errorf("%w: next header %d", ErrMalformed, next)
	}
	// "the inner packet ... MUST be dropped" where it does not match the SA
	// (RFC 4301 section 5.2).
	if !anyMatches(*s.local.Load(), f.dst, &f, f.dport) || !anyMatches(s.remote, f.src, &f, f.sport) {
		return nil, true, ErrSelector
	}
	return inner, true, nil
}

// verify checks window and ICV; the window moves only for authentic packets.
func (s *SA) verify(pkt []byte, low uint32) ([]byte, error) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if s.in == nil {
		return nil, ErrClosed
	}
	seq := uint64(low)
	if s.esn {
		seq = s.window.extend(low)
	}
	if !s.window.fresh(seq) {
		return nil, ErrReplay
	}
	plain, err := s.in.Open(pkt, uint32(seq>>32))
	if err != nil {
		return nil, fmt.Errorf("open ESP packet: %w: %w", errIntegrity, err)
	}
	s.window.accept(seq)
	if s.standby.Load() {
		s.standby.Store(false) // the peer uses it
	}
	return plain, nil
}

var errIntegrity = errors.New("does not authenticate")

// Close zeroes the keys; later packets are ErrClosed.
func (s *SA) Close() {
	s.outMu.Lock()
	if s.out != nil {
		s.out.Zero()
		s.out = nil
	}
	s.outMu.Unlock()
	s.inMu.Lock()
	if s.in != nil {
		s.in.Zero()
		s.in = nil
	}
	s.inMu.Unlock()
}

// MTU returns the largest inner packet whose UDP-encapsulated ESP packet fits
// an outer IP datagram of that many octets.
func (s *SA) MTU(outer int, ipv6 bool) int {
	outer -= ipv4HeaderSize + 8
	if ipv6 {
		outer -= ipv6HeaderSize - ipv4HeaderSize
	}
	room := outer - headerSize - s.ivOut - s.icvOut
	return max(room-room%s.block-trailerSize, 0)
}
