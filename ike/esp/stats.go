package esp

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Stats counts the packets of an SA or a plane; bytes are of the inner
// packets.
type Stats struct {
	InPackets, InBytes   uint64
	OutPackets, OutBytes uint64

	Authentic uint64 // packets that authenticated, delivered or not
	Replayed  uint64 // dropped: twice, or too old
	Forged    uint64 // dropped: does not authenticate
	Malformed uint64 // dropped: no ESP or no IP packet
	Unknown   uint64 // dropped: no SA with that SPI
	Refused   uint64 // dropped, either way: outside of the traffic selectors
	Failed    uint64 // dropped for other reasons: not sent, not delivered, closed
}

// Add adds t to s.
func (s *Stats) Add(t Stats) {
	s.InPackets += t.InPackets
	s.InBytes += t.InBytes
	s.OutPackets += t.OutPackets
	s.OutBytes += t.OutBytes
	s.Authentic += t.Authentic
	s.Replayed += t.Replayed
	s.Forged += t.Forged
	s.Malformed += t.Malformed
	s.Unknown += t.Unknown
	s.Refused += t.Refused
	s.Failed += t.Failed
}

// String writes the counters as swanctl --list-sas does: "in 3 packets, 252
// bytes; out …"; what was dropped follows where there is any.
func (s Stats) String() string {
	t := fmt.Sprintf("in %d packets, %d bytes; out %d packets, %d bytes", s.InPackets, s.InBytes, s.OutPackets, s.OutBytes)
	if n := s.Replayed + s.Forged + s.Malformed + s.Unknown + s.Refused + s.Failed; n > 0 {
		t += fmt.Sprintf("; dropped %d (replayed %d, forged %d, malformed %d, unknown SPI %d, outside of the selectors %d, failed %d)",
			n, s.Replayed, s.Forged, s.Malformed, s.Unknown, s.Refused, s.Failed)
	}
	return t
}

type counters struct {
	inPackets, inBytes, outPackets, outBytes                         atomic.Uint64
	authentic, replayed, forged, malformed, unknown, refused, failed atomic.Uint64
}

func (c *counters) drop(err error) {
	switch {
	case errors.Is(err, ErrDummy):
	case errors.Is(err, ErrReplay):
		c.replayed.Add(1)
	case errors.Is(err, errIntegrity):
		c.forged.Add(1)
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrPacket):
		c.malformed.Add(1)
	case errors.Is(err, ErrSPI):
		c.unknown.Add(1)
	case errors.Is(err, ErrSelector):
		c.refused.Add(1)
	default:
		c.failed.Add(1)
	}
}

// undo takes a packet back that was counted as received.
func (c *counters) undo(octets int) {
	c.inPackets.Add(^uint64(0))
	c.inBytes.Add(-uint64(octets))
}

func (c *counters) stats() Stats {
	return Stats{
		InPackets: c.inPackets.Load(), InBytes: c.inBytes.Load(), OutPackets: c.outPackets.Load(), OutBytes: c.outBytes.Load(),
		Authentic: c.authentic.Load(), Replayed: c.replayed.Load(), Forged: c.forged.Load(), Malformed: c.malformed.Load(),
		Unknown: c.unknown.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(),
	}
}
