package ike

import (
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// ikeSA is one IKE_SA: SPIs, keys and message IDs. A Machine has one that is
// current, and through rekeying others that wait for their DELETE.
type ikeSA struct {
	num        int  // in the log: home[num]
	initiator  bool // we made it: header flag, and whose keys are whose
	spii, spir message.SPI
	suite      crypto.Suite
	prf        crypto.PRF
	keys       *crypto.IKEKeys
	prot       *crypto.Protector

	nextID   uint32    // of our next request
	pending  *exchange // the one request that is out (window 1)
	peerNext uint32    // ID of the peer's next request
	peerResp [][]byte  // our response to the peer's last request
	reqAsm   crypto.Reassembler

	// dropAt is when an IKE_SA that was rekeyed is forgotten although its
	// DELETE never came.
	dropAt time.Time
}

// flag is the header flag of whoever made the IKE_SA (RFC 7296 §3.1): after
// the peer rekeyed it is not us.
func (s *ikeSA) flag() message.Flags {
	if s.initiator {
		return message.FlagInitiator
	}
	return 0
}

func (s *ikeSA) zero() {
	if s.keys != nil {
		s.keys.Zero()
		s.keys = nil
	}
	if s.prot != nil {
		s.prot.Zero()
		s.prot = nil
	}
	s.pending, s.peerResp = nil, nil
}

// lingerOld is how long a rekeyed IKE_SA waits for the peer's DELETE.
const lingerOld = 3 * time.Minute

// maxOldSAs caps them: a peer that rekeys without deleting loses the oldest.
const maxOldSAs = 4

// owner returns the IKE_SA that a message belongs to, nil where it is none of
// ours.
func (m *Machine) owner(h message.Header) *ikeSA {
	fits := func(s *ikeSA) bool {
		return s.spii == h.SPIi && h.FromInitiator() != s.initiator && (s.initiator || s.spir == h.SPIr)
	}
	if fits(m.ikeSA) {
		return m.ikeSA
	}
	for _, s := range m.old {
		if fits(s) {
			return s
		}
	}
	if m.peerRekey != nil && fits(m.peerRekey.sa) {
		return m.peerRekey.sa
	}
	return nil
}

// on runs f with s as the IKE_SA that messages are read and made with. The
// current one does not change meanwhile.
func (m *Machine) on(s *ikeSA, f func()) {
	if s == m.ikeSA {
		f()
		return
	}
	current := m.ikeSA
	m.ikeSA, m.aside = s, true
	f()
	m.ikeSA, m.aside = current, false
	if m.state == stateDone {
		current.zero() // f ended it all, and saw s only
	}
}

// adopt makes s the current IKE_SA; the one before waits for its DELETE.
func (m *Machine) adopt(s *ikeSA) {
	before := m.ikeSA
	m.dropFollowUp()
	before.dropAt = m.now.Add(lingerOld)
	m.old = slices.DeleteFunc(m.old, func(o *ikeSA) bool { return o == s })
	m.old = append(m.old, before)
	if len(m.old) > maxOldSAs {
		m.old[0].zero()
		m.old = slices.Clone(m.old[1:])
	}
	m.ikeSA = s
	m.scheduleIKE()
}

// forget drops an IKE_SA that is not the current one.
func (m *Machine) forget(s *ikeSA) {
	s.zero()
	m.old = slices.DeleteFunc(m.old, func(o *ikeSA) bool { return o == s })
	if m.peerRekey != nil && m.peerRekey.sa == s {
		m.peerRekey = nil
	}
}

// Owns reports whether a datagram is for an IKE_SA of this Machine, by its
// SPIs. Nothing is verified.
func (m *Machine) Owns(b []byte) bool {
	h, err := message.ParseHeader(b)
	return err == nil && m.owner(h) != nil
}
