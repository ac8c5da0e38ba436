package pb

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Identifier types of the TCG in a PB-PDP-Referral.
const (
	PDPFQDN = 0
	PDPIPv4 = 1
	PDPIPv6 = 2
)

// PDPProtocolPTTLS is the only transport protocol of a referral.
const PDPProtocolPTTLS = 0

// PDPReferral is a PB-PDP-Referral message (TCG PDP Discovery and Validation):
// the server names a PT-TLS server that would go on.
//
//	0        1             4          8        9          10     12
//	+--------+-------------+----------+--------+----------+------+------
//	| 0      | vendor u24  | type u32 | 0      | protocol | port | host
//	+--------+-------------+----------+--------+----------+------+------
type PDPReferral struct {
	Vendor   uint32 // of the identifier type, 24 bit
	Type     uint32
	Protocol uint8 // the fields from here on for TCG types 0 to 2
	Port     uint16
	Host     string // name, or address in text form
	Data     []byte // identifier of every other type
}

// MessageType returns TypePDPReferral.
func (PDPReferral) MessageType() MessageType { return TypePDPReferral }

// AppendBinary appends the message.
func (m PDPReferral) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypePDPReferral, func(b []byte) ([]byte, error) {
		b = wire.AppendU32(wire.AppendU24(append(b, 0), m.Vendor), m.Type)
		if m.Vendor != VendorTCG || m.Type > PDPIPv6 {
			return append(b, m.Data...), nil
		}
		b = wire.AppendU16(append(b, 0, m.Protocol), m.Port)
		if m.Type == PDPFQDN {
			if strings.IndexByte(m.Host, 0) >= 0 {
				return nil, errNUL
			}
			return append(b, m.Host...), nil
		}
		a, err := netip.ParseAddr(m.Host)
		if err != nil {
			return nil, fmt.Errorf("PDP address: %w", err)
		}
		if a.Is4() != (m.Type == PDPIPv4) || a.Zone() != "" {
			return nil, fmt.Errorf("PDP address %s does not fit identifier type %d: %w", a, m.Type, wire.ErrValue)
		}
		return append(b, a.AsSlice()...), nil
	})
}

func parsePDPReferral(r *wire.Reader) (Message, error) {
	r.Skip(1)
	m := PDPReferral{Vendor: r.U24(), Type: r.U32()}
	if m.Vendor != VendorTCG || m.Type > PDPIPv6 {
		m.Data = bytes.Clone(r.Rest())
		return m, r.Err()
	}
	r.Skip(1)
	m.Protocol, m.Port = r.U8(), r.U16()
	switch m.Type {
	case PDPFQDN:
		m.Host = text(r, r.Len())
	case PDPIPv4:
		if v := r.Bytes(4); v != nil {
			m.Host = netip.AddrFrom4([4]byte(v)).String()
		}
	case PDPIPv6:
		if v := r.Bytes(16); v != nil {
			m.Host = netip.AddrFrom16([16]byte(v)).String()
		}
	}
	return m, r.Err()
}
