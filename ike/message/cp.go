package message

import (
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// CPType says what a CP payload is.
type CPType uint8

// Types of CP payloads (RFC 7296 section 3.15).
const (
	CPRequest CPType = 1
	CPReply   CPType = 2
	CPSet     CPType = 3
	CPAck     CPType = 4
)

// CPAttributeType is a configuration attribute type (RFC 7296 section 3.15.1).
type CPAttributeType uint16

// Configuration attribute types.
const (
	InternalIP4Address CPAttributeType = 1
	InternalIP4Netmask CPAttributeType = 2
	InternalIP4DNS     CPAttributeType = 3
	InternalIP4NBNS    CPAttributeType = 4
	InternalIP4DHCP    CPAttributeType = 6
	ApplicationVersion CPAttributeType = 7
	InternalIP6Address CPAttributeType = 8 // address and prefix length, 17 octets
	InternalIP6DNS     CPAttributeType = 10
	InternalIP6DHCP    CPAttributeType = 12
	InternalIP4Subnet  CPAttributeType = 13
	SupportedAttribute CPAttributeType = 14
	InternalIP6Subnet  CPAttributeType = 15
	InternalDNSDomain  CPAttributeType = 25
	InternalDNSSECTA   CPAttributeType = 26
)

var cpNames = map[CPAttributeType]string{
	InternalIP4Address: "ADDR", InternalIP4Netmask: "MASK", InternalIP4DNS: "DNS", InternalIP4NBNS: "NBNS", 5: "EXP",
	InternalIP4DHCP: "DHCP", ApplicationVersion: "VER", InternalIP6Address: "ADDR6", 9: "MASK6", InternalIP6DNS: "DNS6",
	11: "NBNS6", InternalIP6DHCP: "DHCP6", InternalIP4Subnet: "SUBNET", SupportedAttribute: "SUP", InternalIP6Subnet: "SUBNET6",
	20: "PCSCF4", 21: "PCSCF6", InternalDNSDomain: "DOMAIN", InternalDNSSECTA: "DNSSEC", 23456: "SRV", 23457: "SRV6",
}

// String returns a short name: "ADDR".
func (t CPAttributeType) String() string {
	if n, ok := cpNames[t]; ok {
		return n
	}
	return fmt.Sprintf("(%d)", uint16(t))
}

// CPAttribute is one configuration attribute.
type CPAttribute struct {
	Type  CPAttributeType // 15 bits
	Value []byte
}

// CP is the Configuration payload (RFC 7296 section 3.15).
type CP struct {
	CPType     CPType
	Attributes []CPAttribute
}

// Type returns TypeCP.
func (*CP) Type() PayloadType { return TypeCP }

func parseCP(r *wire.Reader) *CP {
	p := &CP{CPType: CPType(r.U8())}
	r.Skip(3)
	for r.Len() > 0 {
		at := r.Offset()
		if len(p.Attributes) == MaxCPAttributes {
			r.Fail(at, fmt.Errorf("attributes: %w", ErrTooMany))
			return p
		}
		t := CPAttributeType(r.U16() &^ 0x8000)
		p.Attributes = append(p.Attributes, CPAttribute{Type: t, Value: clone(r.Bytes(int(r.U16())))})
	}
	return p
}

// AppendBody appends type and attributes.
func (p *CP) AppendBody(b []byte) ([]byte, error) {
	out := append(b, byte(p.CPType), 0, 0, 0)
	for _, a := range p.Attributes {
		var err error
		if out, err = wire.AppendVec16(wire.AppendU16(out, uint16(a.Type)&^0x8000), a.Value); err != nil {
			return b, fmt.Errorf("attribute %s: %w", a.Type, err)
		}
	}
	return out, nil
}

// All returns the values of the attributes of type t.
func (p *CP) All(t CPAttributeType) (vs [][]byte) {
	for _, a := range p.Attributes {
		if a.Type == t {
			vs = append(vs, a.Value)
		}
	}
	return vs
}

func (p *CP) summary() string {
	kind := "?"
	switch p.CPType {
	case CPRequest:
		kind = "RQ"
	case CPReply:
		kind = "RP"
	case CPSet:
		kind = "S"
	case CPAck:
		kind = "A"
	}
	names := make([]string, len(p.Attributes))
	for i, a := range p.Attributes {
		names[i] = a.Type.String()
	}
	return "CP" + kind + "(" + strings.Join(names, " ") + ")"
}
