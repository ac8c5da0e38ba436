package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// ESP (RFC 4303).
const (
	espHeader    = 8 // SPI and sequence number
	nextIPv4     = 4
	nextIPv6     = 41
	replayWindow = 64
)

// childSA is a CHILD_SA of a client: both directions.
type childSA struct {
	client   *client
	spi      uint32 // ours, inbound
	peerSPI  []byte // the client's
	suite    crypto.Suite
	in, out  *crypto.PacketCipher
	tsi, tsr []message.TrafficSelector
	sent     uint32
	top      uint32 // highest sequence number received
	window   uint64 // bit n: top-n received

	further bool // the gateway asked for it, or for one that it replaces
	life    childLife
}

func (s *childSA) ownSPI() []byte { return binary.BigEndian.AppendUint32(nil, s.spi) }

// notifyError is a failure of the CHILD_SA that leaves the IKE_SA standing.
type notifyError struct {
	notify message.NotifyType
	why    string
}

func (e *notifyError) Error() string { return e.notify.String() + ": " + e.why }

// makeChild sets the CHILD_SA up and returns its payloads: [CP,] SA, TSi, TSr.
func (c *client) makeChild() ([]message.Payload, error) {
	f := &c.g.cfg.Faults
	w := c.wanted
	if f.NoChildProposal {
		return nil, &notifyError{message.NoProposalChosen, "as configured"}
	}
	suite, chosen, err := crypto.Select(crypto.WithoutKE(c.g.esp), w.sa)
	if err != nil {
		return nil, &notifyError{message.NoProposalChosen, err.Error()}
	}
	var out []message.Payload
	reply, err := c.configure()
	if err != nil {
		return nil, err
	}
	if reply != nil {
		out = append(out, reply)
	}
	theirs, mine := c.allowed()
	tsi, tsr := narrow(theirs, w.tsi), narrow(mine, w.tsr)
	if len(tsi) == 0 || len(tsr) == 0 {
		c.releaseIP()
		return nil, &notifyError{message.TSUnacceptable, fmt.Sprintf("%v === %v", w.tsr, w.tsi)}
	}
	peer := chosen.SPI // its inbound one
	if !validSPI(peer) {
		c.releaseIP()
		return nil, &notifyError{message.NoProposalChosen, "bad SPI"}
	}
	keys, err := crypto.DeriveChild(c.prf, c.keys.D, suite, nil, c.ni, c.nr)
	if err != nil {
		return nil, err
	}
	s, err := c.newChild(suite, keys, peer, tsi, tsr, true)
	if err != nil {
		return nil, err
	}
	c.report.ESPProposal = suite.String()
	c.report.LocalTS, c.report.RemoteTS = texts(tsr), texts(tsi)
	chosen.SPI = s.ownSPI()
	return append(out, &message.SA{Proposals: []message.Proposal{chosen}}, &message.TSi{Selectors: tsi}, &message.TSr{Selectors: tsr}), nil
}

// newChild registers a CHILD_SA and takes its keys; byClient says who started the
// exchange that made it.
func (c *client) newChild(suite crypto.Suite, keys *crypto.ChildKeys, peerSPI []byte, tsi, tsr []message.TrafficSelector, byClient bool) (*childSA, error) {
	spi, err := c.g.random4()
	if err != nil {
		return nil, err
	}
	s := &childSA{spi: binary.BigEndian.Uint32(spi)}
	return s, c.setUp(s, suite, keys, peerSPI, tsi, tsr, byClient)
}

// setUp fills in a CHILD_SA whose SPI is drawn already, and registers it.
func (c *client) setUp(s *childSA, suite crypto.Suite, keys *crypto.ChildKeys, peerSPI []byte, tsi, tsr []message.TrafficSelector, byClient bool) (err error) {
	defer keys.Zero()
	if !byClient {
		keys.Ei, keys.Er, keys.Ai, keys.Ar = keys.Er, keys.Ei, keys.Ar, keys.Ai
	}
	s.client, s.suite, s.peerSPI, s.tsi, s.tsr = c, suite, peerSPI, tsi, tsr
	if s.in, err = crypto.NewPacketCipher(suite, keys.Ei, keys.Ai, c.g.cfg.Rand); err != nil {
		return err
	}
	if s.out, err = crypto.NewPacketCipher(suite, keys.Er, keys.Ar, c.g.cfg.Rand); err != nil {
		s.in.Zero()
		return err
	}
	c.children = append(c.children, s)
	c.g.byESP[s.spi] = s
	log.Infof(c.g.log, "CHILD_SA established with SPIs %08x_i %x_o and TS %v === %v", s.spi, peerSPI, tsr, tsi)
	return nil
}

func validSPI(b []byte) bool { return len(b) == 4 && binary.BigEndian.Uint32(b) >= 256 }

// allowed returns the selectors that a client may have: its side, then the
// gateway's.
func (c *client) allowed() (theirs, mine []message.TrafficSelector) {
	networks := c.g.cfg.Networks
	if c.pb != nil && c.pb.Isolated() {
		networks = c.g.cfg.Quarantine
	}
	own := c.addr.Addr()
	if c.virtualIP.IsValid() {
		own = c.virtualIP
	}
	for _, p := range networks {
		mine = append(mine, message.SelectorFromPrefix(p))
	}
	return []message.TrafficSelector{message.SelectorFromAddr(own)}, mine
}

func texts(ts []message.TrafficSelector) (out []string) {
	for _, t := range ts {
		out = append(out, t.String())
	}
	return out
}

// narrow returns what the wanted selectors have in common with ours, at most
// as many as a payload carries (RFC 7296 section 2.9).
func narrow(ours, wanted []message.TrafficSelector) (out []message.TrafficSelector) {
	for _, o := range ours {
		for _, w := range wanted {
			if t, ok := o.Intersect(w); ok && len(out) < message.MaxTrafficSelectors {
				out = append(out, t)
			}
		}
	}
	return out
}

// configure answers a request for a virtual address.
func (c *client) configure() (*message.CP, error) {
	cp := c.wanted.cp
	if cp == nil || cp.CPType != message.CPRequest {
		return nil, nil
	}
	t := message.InternalIP4Address
	if c.g.cfg.Pool.Addr().Is6() {
		t = message.InternalIP6Address
	}
	asked := cp.All(t)
	if len(asked) == 0 {
		return nil, nil
	}
	if c.g.cfg.Faults.NoVirtualIP {
		return nil, &notifyError{message.InternalAddressFailure, "as configured"}
	}
	var wanted netip.Addr
	if v := asked[0]; len(v) >= 16 {
		wanted, _ = netip.AddrFromSlice(v[:16])
	} else if len(v) >= 4 {
		wanted, _ = netip.AddrFromSlice(v[:4])
	}
	a, ok := c.g.pool.lease(wanted, c.idi.String())
	if !ok {
		return nil, &notifyError{message.InternalAddressFailure, "no virtual address left"}
	}
	c.virtualIP, c.report.VirtualIP = a, a
	value := a.AsSlice()
	if a.Is6() {
		value = append(value, 128)
	}
	log.Infof(c.g.log, "assigning virtual IP %s to peer '%s'", a, c.idi)
	return &message.CP{CPType: message.CPReply, Attributes: []message.CPAttribute{{Type: t, Value: value}}}, nil
}

func (c *client) releaseIP() {
	if c.virtualIP.IsValid() {
		c.g.pool.release(c.virtualIP)
		c.virtualIP = netip.Addr{}
	}
}

// dropChild removes a CHILD_SA and zeroes its keys.
func (c *client) dropChild(s *childSA) {
	delete(c.g.byESP, s.spi)
	s.in.Zero()
	s.out.Zero()
	c.children = slices.DeleteFunc(c.children, func(o *childSA) bool { return o == s })
}

// dropChildren removes all CHILD_SAs.
func (c *client) dropChildren() {
	for _, s := range slices.Clone(c.children) {
		c.dropChild(s)
	}
	c.releaseIP()
}

// handleESP opens a packet of the client and answers pings inside.
func (c *client) handleESP(from netip.AddrPort, s *childSA, b []byte) {
	seq := binary.BigEndian.Uint32(b[4:])
	if !s.fresh(seq) {
		c.report.PacketsBad++
		return
	}
	plain, err := s.in.Open(append([]byte(nil), b...), 0)
	if err != nil || len(plain) < 2 {
		c.report.PacketsBad++
		return
	}
	s.mark(seq)
	n := len(plain) - 2
	pad, next := int(plain[n]), plain[n+1]
	if pad > n || next != nextIPv4 && next != nextIPv6 {
		c.report.PacketsBad++
		return
	}
	packet := plain[:n-pad]
	src, dst, ok := packetAddrs(packet)
	if !ok || !holds(s.tsi, src) || !holds(s.tsr, dst) {
		c.report.PacketsBad++
		return
	}
	c.report.PacketsIn++
	c.addr = from
	c.used(s)
	if reply, ok := echoReply(packet); ok {
		if out, err := c.sender(s).seal(reply, next); err == nil {
			c.report.Echoes++
			c.g.write(from, out)
		}
	}
}

func holds(ts []message.TrafficSelector, a netip.Addr) bool {
	for _, t := range ts {
		if t.Start.IsValid() && t.Start.BitLen() == a.BitLen() && t.Start.Compare(a) <= 0 && a.Compare(t.End) <= 0 {
			return true
		}
	}
	return false
}

// seal makes the ESP packet around an IP packet.
func (s *childSA) seal(packet []byte, next byte) ([]byte, error) {
	if s.sent == 1<<32-1 {
		return nil, crypto.ErrExhausted
	}
	s.sent++
	iv, icv, block := s.out.IVSize(), s.out.ICVSize(), s.out.BlockSize()
	pad := -(len(packet) + 2) % block
	if pad < 0 {
		pad += block
	}
	b := make([]byte, espHeader+iv, espHeader+iv+len(packet)+pad+2+icv)
	copy(b, s.peerSPI)
	binary.BigEndian.PutUint32(b[4:], s.sent)
	b = append(b, packet...)
	for i := 1; i <= pad; i++ {
		b = append(b, byte(i))
	}
	b = append(b, byte(pad), next)
	b = append(b, make([]byte, icv)...)
	return b, s.out.Seal(b, 0)
}

// fresh reports whether seq is inside the anti-replay window and new (RFC 4303
// section 3.4.3); mark records it once the packet is authentic.
func (s *childSA) fresh(seq uint32) bool {
	switch {
	case seq == 0:
		return false
	case seq > s.top:
		return true
	case s.top-seq >= replayWindow:
		return false
	}
	return s.window&(1<<(s.top-seq)) == 0
}

func (s *childSA) mark(seq uint32) {
	if seq > s.top {
		if d := seq - s.top; d < replayWindow {
			s.window <<= d
		} else {
			s.window = 0
		}
		s.top = seq
	}
	s.window |= 1 << (s.top - seq)
}
