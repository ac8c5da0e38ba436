package xfrm

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
)

// State is one direction of a CHILD_SA, as XFRM_MSG_NEWSA describes it.
type State struct {
	Src, Dst     netip.Addr
	SPI          uint32
	ReqID        uint32
	Suite        crypto.Suite
	Encr, Integ  []byte // keys; Encr of AEAD ciphers ends in the salt
	ReplayWindow int    // packets
	// SrcPort and DstPort: ESP travels in UDP; 0 = it does not.
	SrcPort, DstPort uint16
	Mark             esp.Mark
	IfID             uint32
}

// Direction of a policy.
type Direction uint8

// Directions.
const (
	In Direction = iota
	Out
	Forward
)

// Policy sends what fits its selectors through the states of a ReqID.
type Policy struct {
	Dir      Direction
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
	Mark                 esp.Mark
	IfID                 uint32
}

// algorithm is the kernel's name of a transform.
type algorithm struct {
	name string
	icv  uint32 // bits
}

// The kernel's names, by transform ID (net/xfrm/xfrm_algo.c).
var (
	aeads = map[uint16]algorithm{
		14: {"rfc4309(ccm(aes))", 64}, 15: {"rfc4309(ccm(aes))", 96}, 16: {"rfc4309(ccm(aes))", 128},
		18: {"rfc4106(gcm(aes))", 64}, 19: {"rfc4106(gcm(aes))", 96}, 20: {"rfc4106(gcm(aes))", 128},
		21: {"rfc4543(gcm(aes))", 128}, 28: {"rfc7539esp(chacha20,poly1305)", 128},
	}
	ciphers = map[uint16]algorithm{3: {"cbc(des3_ede)", 0}, 11: {"ecb(cipher_null)", 0}, 12: {"cbc(aes)", 0}, 13: {"rfc3686(ctr(aes))", 0}}
	macs    = map[uint16]algorithm{
		1: {"hmac(md5)", 96}, 2: {"hmac(sha1)", 96}, 5: {"xcbc(aes)", 96}, 8: {"cmac(aes)", 96},
		12: {"hmac(sha256)", 128}, 13: {"hmac(sha384)", 192}, 14: {"hmac(sha512)", 256},
	}
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
	b := make([]byte, 64, 80+len(key))
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
func common(b []byte, m esp.Mark, ifID uint32) []byte {
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
func newState(s State) (request, error) {
	info := &nl.XfrmUsersaInfo{
		Id:    nl.XfrmId{Daddr: address(s.Dst), Spi: swap32(s.SPI), Proto: unix.IPPROTO_ESP},
		Saddr: address(s.Src), Lft: unlimited(), Reqid: s.ReqID, Family: family(s.Dst), Mode: 1, // tunnel
		Flags: nl.XFRM_STATE_AF_UNSPEC,
	}
	wide := s.Suite.ESN || s.ReplayWindow > 32
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
		e := &nl.XfrmEncapTmpl{EncapType: 2, EncapSport: swap16(s.SrcPort), EncapDport: swap16(s.DstPort)} // UDP_ENCAP_ESPINUDP
		b = attribute(b, nl.XFRMA_ENCAP, e.Serialize())
	}
	if wide {
		// Without the bitmap, whose size follows: the kernel makes it.
		packets := max(s.ReplayWindow, 32)
		v := binary.NativeEndian.AppendUint32(nil, uint32(packets+31)/32)
		v = append(v, make([]byte, 16)...) // sequence numbers
		b = attribute(b, nl.XFRMA_REPLAY_ESN_VAL, binary.NativeEndian.AppendUint32(v, uint32(packets)))
	}
	return request{nl.XFRM_MSG_NEWSA, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(b, s.Mark, s.IfID)}, nil
}

// deleteState is XFRM_MSG_DELSA.
func deleteState(s State) request {
	id := &nl.XfrmUsersaId{Daddr: address(s.Dst), Spi: swap32(s.SPI), Family: family(s.Dst), Proto: unix.IPPROTO_ESP}
	b := append([]byte(nil), id.Serialize()...)
	src := address(s.Src)
	b = common(b, s.Mark, 0)
	return request{nl.XFRM_MSG_DELSA, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(attribute(b, nl.XFRMA_SRCADDR, src[:]), esp.Mark{}, s.IfID)}
}

func selector(p Policy) nl.XfrmSelector {
	return nl.XfrmSelector{
		Saddr: address(p.Src.Addr()), Daddr: address(p.Dst.Addr()), PrefixlenS: uint8(p.Src.Bits()), PrefixlenD: uint8(p.Dst.Bits()),
		Family: family(p.Src.Addr()), Proto: p.Protocol, Sport: swap16(p.SrcPort), Dport: swap16(p.DstPort),
		SportMask: swap16(p.SrcMask), DportMask: swap16(p.DstMask),
	}
}

// updatePolicy is XFRM_MSG_UPDPOLICY, which makes a policy or takes the place
// of an equal one.
func updatePolicy(p Policy) request {
	info := &nl.XfrmUserpolicyInfo{Sel: selector(p), Lft: unlimited(), Priority: p.Priority, Dir: uint8(p.Dir)}
	tmpl := &nl.XfrmUserTmpl{
		XfrmId: nl.XfrmId{Daddr: address(p.TunnelDst), Proto: unix.IPPROTO_ESP}, Saddr: address(p.TunnelSrc),
		Family: family(p.TunnelDst), Reqid: p.ReqID, Mode: 1, Aalgos: ^uint32(0), Ealgos: ^uint32(0), Calgos: ^uint32(0),
	}
	b := attribute(append([]byte(nil), info.Serialize()...), nl.XFRMA_TMPL, tmpl.Serialize())
	return request{nl.XFRM_MSG_UPDPOLICY, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(b, p.Mark, p.IfID)}
}

// deletePolicy is XFRM_MSG_DELPOLICY.
func deletePolicy(p Policy) request {
	id := &nl.XfrmUserpolicyId{Sel: selector(p), Dir: uint8(p.Dir)}
	return request{nl.XFRM_MSG_DELPOLICY, unix.NLM_F_REQUEST | unix.NLM_F_ACK, common(append([]byte(nil), id.Serialize()...), p.Mark, p.IfID)}
}

// message is r with its netlink header, as it is sent.
func (r request) message(seq uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, r.flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, r.body...)
}
