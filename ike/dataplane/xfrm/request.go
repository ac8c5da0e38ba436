package xfrm

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
)

// xfrmState is one direction of a CHILD_SA, as XFRM_MSG_NEWSA describes it.
type xfrmState struct {
	Src, Dst     netip.Addr
	SPI          uint32
	ReqID        uint32
	Suite        crypto.Suite
	Encr, Integ  []byte // keys; Encr of AEAD ciphers ends in the salt
	ReplayWindow int    // packets
	// SrcPort and DstPort of the UDP header in front of ESP; 0 = there is none.
	SrcPort, DstPort uint16
	Mark             dataplane.Mark
	IfID             uint32
	Flags            uint8 // XFRM_STATE_…
	// KeepDSCP leaves the DSCP of the outer header 0.
	KeepDSCP bool
}

// direction of a policy.
type direction uint8

// Directions.
const (
	dirIn direction = iota
	dirOut
	dirForward
)

// xfrmPolicy sends what fits its selectors through the states of a ReqID.
type xfrmPolicy struct {
	Dir      direction
	Src, Dst netip.Prefix
	Protocol uint8
	// SrcPort and DstPort: the ports that agree with them in the bits of the
	// masks; mask 0 = any.
	SrcPort, DstPort uint16
	SrcMask, DstMask uint16
	Priority         uint32
	// TunnelSrc and TunnelDst are the outer addresses.
	TunnelSrc, TunnelDst netip.Addr
	ReqID                uint32
	Mark                 dataplane.Mark
	IfID                 uint32
}

// Numbers of linux/xfrm.h and linux/udp.h.
const (
	modeTunnel       = 1 // XFRM_MODE_TUNNEL
	udpEncapESPinUDP = 2 // UDP_ENCAP_ESPINUDP
	dontEncapDSCP    = 1 // XFRM_SA_XFLAG_DONT_ENCAP_DSCP
	// narrowWindow is the largest replay window, in packets, of struct
	// xfrm_usersa_info; larger ones have an attribute of their own.
	narrowWindow  = 32
	algNameLength = 64 // octets of a name in struct xfrm_algo
)

// request is a netlink message without its header.
type request struct {
	kind  uint16
	flags uint16
	body  []byte
}

func family(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func address(a netip.Addr) (x nl.XfrmAddress) {
	copy(x[:], a.AsSlice())
	return x
}

func attribute(b []byte, kind uint16, value []byte) []byte {
	n := unix.SizeofRtAttr + len(value)
	b = binary.NativeEndian.AppendUint16(b, uint16(n))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for ; n%unix.RTA_ALIGNTO != 0; n++ {
		b = append(b, 0)
	}
	return b
}

func swap32(v uint32) uint32 {
	return binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v))
}
func swap16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// named writes a struct xfrm_algo, xfrm_algo_auth or xfrm_algo_aead.
func named(name string, key []byte, truncate ...uint32) []byte {
	b := make([]byte, algNameLength, algNameLength+2*4+len(key))
	copy(b, name)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(key))*8)
	for _, t := range truncate {
		b = binary.NativeEndian.AppendUint32(b, t)
	}
	return append(b, key...)
}

func unlimited() nl.XfrmLifetimeCfg {
	return nl.XfrmLifetimeCfg{SoftByteLimit: nl.XFRM_INF, HardByteLimit: nl.XFRM_INF, SoftPacketLimit: nl.XFRM_INF, HardPacketLimit: nl.XFRM_INF}
}

// common appends mark and interface ID.
func common(b []byte, m dataplane.Mark, ifID uint32) []byte {
	if m.Mask != 0 {
		v := binary.NativeEndian.AppendUint32(nil, m.Value)
		b = attribute(b, nl.XFRMA_MARK, binary.NativeEndian.AppendUint32(v, m.Mask))
	}
	if ifID != 0 {
		b = attribute(b, nl.XFRMA_IF_ID, binary.NativeEndian.AppendUint32(nil, ifID))
	}
	return b
}

// newState is XFRM_MSG_NEWSA.
func newState(s xfrmState) (request, error) {
	info := &nl.XfrmUsersaInfo{
		Id:    nl.XfrmId{Daddr: address(s.Dst), Spi: swap32(s.SPI), Proto: unix.IPPROTO_ESP},
		Saddr: address(s.Src), Lft: unlimited(), Reqid: s.ReqID, Family: family(s.Dst), Mode: modeTunnel,
		Flags: nl.XFRM_STATE_AF_UNSPEC | s.Flags,
	}
	wide := s.Suite.ESN || s.ReplayWindow > narrowWindow
	if !wide {
		info.ReplayWindow = uint8(s.ReplayWindow)
	}
	if s.Suite.ESN {
		info.Flags |= nl.XFRM_STATE_ESN
	}
	b := append([]byte(nil), info.Serialize()...)
	if a, ok := aeads[s.Suite.Encr.ID]; ok {
		b = attribute(b, nl.XFRMA_ALG_AEAD, named(a.name, s.Encr, a.icv))
	} else {
		c, ok1 := ciphers[s.Suite.Encr.ID]
		a, ok2 := macs[s.Suite.Integ.ID]
		if !ok1 || !ok2 {
			return request{}, fmt.Errorf("the kernel has no name for %s", s.Suite)
		}
		b = attribute(b, nl.XFRMA_ALG_CRYPT, named(c.name, s.Encr))
		b = attribute(b, nl.XFRMA_ALG_AUTH_TRUNC, named(a.name, s.Integ, a.icv))
	}
	if s.SrcPort != 0 {
		e := &nl.XfrmEncapTmpl{EncapType: udpEncapESPinUDP, EncapSport: swap16(s.SrcPort), EncapDport: swap16(s.DstPort)}
		b = attribute(b, nl.XFRMA_ENCAP, e.Serialize())
	}
	if wide {
		// Without the bitmap, whose size follows: the kernel makes it.
		packets := max(s.ReplayWindow, narrowWindow)
		v := binary.NativeEndian.AppendUint32(nil, uint32(packets+31)/32)
		v = append(v, make([]byte, 16)...) // sequence numbers
		b = attribute(b, nl.XFRMA_REPLAY_ESN_VAL, binary.NativeEndian.AppendUint32(v, uint32(packets)))
	}
	b = common(b, s.Mark, s.IfID)
	if s.KeepDSCP {
		b = attribute(b, nl.XFRMA_SA_EXTRA_FLAGS, binary.NativeEndian.AppendUint32(nil, dontEncapDSCP))
	}
	return request{nl.XFRM_MSG_NEWSA, unix.NLM_F_REQUEST | unix.NLM_F_ACK, b}, nil
}

// deleteState is XFRM_MSG_DELSA.
func deleteState(s xfrmState) request {
	id := &nl.XfrmUsersaId{Daddr: address(s.Dst), Spi: swap32(s.SPI), Family: family(s.Dst), Proto: unix.IPPROTO_ESP}
	b := append([]byte(nil), id.Serialize()...)
	src := address(s.Src)
	b = common(b, s.Mark, 0)
	return request{nl.XFRM_MSG_DELSA, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(attribute(b, nl.XFRMA_SRCADDR, src[:]), dataplane.Mark{}, s.IfID)}
}

func selector(p xfrmPolicy) nl.XfrmSelector {
	return nl.XfrmSelector{
		Saddr: address(p.Src.Addr()), Daddr: address(p.Dst.Addr()), PrefixlenS: uint8(p.Src.Bits()), PrefixlenD: uint8(p.Dst.Bits()),
		Family: family(p.Src.Addr()), Proto: p.Protocol, Sport: swap16(p.SrcPort), Dport: swap16(p.DstPort),
		SportMask: swap16(p.SrcMask), DportMask: swap16(p.DstMask),
	}
}

// updatePolicy is XFRM_MSG_UPDPOLICY, which makes a policy or replaces the one
// with equal selectors.
func updatePolicy(p xfrmPolicy) request {
	info := &nl.XfrmUserpolicyInfo{Sel: selector(p), Lft: unlimited(), Priority: p.Priority, Dir: uint8(p.Dir)}
	tmpl := &nl.XfrmUserTmpl{
		XfrmId: nl.XfrmId{Daddr: address(p.TunnelDst), Proto: unix.IPPROTO_ESP}, Saddr: address(p.TunnelSrc),
		Family: family(p.TunnelDst), Reqid: p.ReqID, Mode: modeTunnel, Aalgos: ^uint32(0), Ealgos: ^uint32(0), Calgos: ^uint32(0),
	}
	b := attribute(append([]byte(nil), info.Serialize()...), nl.XFRMA_TMPL, tmpl.Serialize())
	return request{nl.XFRM_MSG_UPDPOLICY, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(b, p.Mark, p.IfID)}
}

// deletePolicy is XFRM_MSG_DELPOLICY.
func deletePolicy(p xfrmPolicy) request {
	id := &nl.XfrmUserpolicyId{Sel: selector(p), Dir: uint8(p.Dir)}
	return request{nl.XFRM_MSG_DELPOLICY, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(append([]byte(nil), id.Serialize()...), p.Mark, p.IfID)}
}
