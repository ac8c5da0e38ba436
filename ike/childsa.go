package ike

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// minESPSPI is the first SPI of a CHILD_SA; those below are reserved (RFC 4303
// section 2.1).
const minESPSPI = 256

// ChildSA is what a data plane needs to carry packets in tunnel mode. Its
// keys belong to the receiver of the event, which zeroes them when they are
// installed or of no more use.
type ChildSA struct {
	Name          string
	SPIIn, SPIOut uint32
	ESP           crypto.Suite      // the chosen ESP algorithms
	Keys          *crypto.ChildKeys // Ei/Ai protect what we send (we are the initiator), Er/Ar what we receive
	LocalTS       []TrafficSelector
	RemoteTS      []TrafficSelector
	Internal      Internal
	// Encap: ESP travels in UDP between Local and Remote.
	Encap         bool
	Local, Remote netip.AddrPort
}

// Zero forgets the keys.
func (c *ChildSA) Zero() {
	if c.Keys != nil {
		c.Keys.Zero()
	}
}

// Ciphers makes the packet ciphers of both directions, as ike/esp takes them.
// They copy the keys: Zero may follow. A nil source means crypto/rand.
func (c *ChildSA) Ciphers(rand io.Reader) (in, out *crypto.PacketCipher, err error) {
	if out, err = crypto.NewPacketCipher(c.ESP, c.Keys.Ei, c.Keys.Ai, rand); err != nil {
		return nil, nil, err
	}
	if in, err = crypto.NewPacketCipher(c.ESP, c.Keys.Er, c.Keys.Ar, rand); err != nil {
		out.Zero()
		return nil, nil, err
	}
	return in, out, nil
}

// agreement is a CHILD_SA that both sides agreed on, without its keys.
type agreement struct {
	cfg           *childConfig
	esp           crypto.Suite
	chosen        message.Proposal // with the peer's SPI
	spiIn         uint32
	local, remote []TrafficSelector
}

// accept checks the CHILD_SA in a response against what was asked for. local
// and remote are the selectors that are allowed: what the gateway widened, or
// did not narrow to the virtual IP, is cut to them.
func (j *createJob) accept(msg *message.Message, local, remote []TrafficSelector) (*agreement, error) {
	sa, ok := message.First[*message.SA](msg.Payloads)
	if !ok {
		return nil, errNoChild
	}
	esp, chosen, err := crypto.CheckChosen(j.proposals, sa)
	if err == nil {
		err = j.complete(esp)
	}
	if err != nil {
		return nil, err
	}
	if !validESPSPI(chosen.SPI) {
		return nil, fmt.Errorf("%w: bad SPI of the CHILD_SA", ErrProtocol)
	}
	tsi, ok1 := message.First[*message.TSi](msg.Payloads)
	tsr, ok2 := message.First[*message.TSr](msg.Payloads)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%w: CHILD_SA without traffic selectors", ErrProtocol)
	}
	if msg.Notify(message.UseTransportMode) != nil {
		return nil, fmt.Errorf("%w: transport mode was not asked for", ErrProtocol)
	}
	g := &agreement{cfg: j.cfg, esp: esp, chosen: chosen, spiIn: j.spiIn,
		local: narrow(tsi.Selectors, local), remote: narrow(tsr.Selectors, remote)}
	if len(g.local) == 0 || len(g.remote) == 0 {
		return nil, fmt.Errorf("the gateway's traffic selectors %s === %s lie outside of ours, %s === %s",
			selectors(tsi.Selectors), selectors(tsr.Selectors), selectors(j.local), selectors(j.remote))
	}
	return g, nil
}

// validESPSPI reports whether b is an SPI that a CHILD_SA may have.
func validESPSPI(b []byte) bool { return len(b) == 4 && binary.BigEndian.Uint32(b) >= minESPSPI }

// narrow intersects what was received with what is allowed. What is part of another
// selector is left out.
func narrow(got, allowed []TrafficSelector) (out []TrafficSelector) {
	for _, g := range got {
		for _, a := range allowed {
			if t, ok := a.Intersect(g); ok && !containsSelector(out, t) {
				out = append(slices.DeleteFunc(out, t.Contains), t)
			}
			if len(out) == message.MaxTrafficSelectors {
				return out
			}
		}
	}
	return out
}

func containsSelector(ts []TrafficSelector, t TrafficSelector) bool {
	for _, o := range ts {
		if o.Contains(t) {
			return true
		}
	}
	return false
}

// suiteName is a suite as the log shows it: "ESP:AES_GCM_16_128/NO_EXT_SEQ".
type suiteName struct {
	protocol string
	suite    crypto.Suite
}

func (n suiteName) String() string {
	name := n.suite.String()
	if len(name) > 4 && name[3] == ':' {
		return name
	}
	return n.protocol + ":" + name
}
