// Package tlskind holds what tells EAP-TLS, EAP-TTLS and PEAP apart on the
// wire and in their keys. Peers and servers share it.
package tlskind

import (
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsstep"
)

// FragmentSize is the default of the largest EAP packet, in octets: what IKE
// fragmentation carries. A charon gateway takes IKE messages of 10,000 octets
// (max_packet), the headers of payloads among them, and each fragment costs an
// IKE exchange.
const FragmentSize = 9980

// Kind is a method on TLS.
type Kind struct {
	Type  eap.Type
	Label string // of the keys up to TLS 1.2 (tlsstep.LabelTLS, LabelTTLS)
	// Version is that of the flags octet; others are refused. Negative means
	// that the three bits are reserved (EAP-TLS).
	Version int
	// Length says whether strongSwan sends the Message Length by default also
	// in packets that are not fragmented.
	Length bool
}

// The methods.
var (
	TLS  = Kind{Type: eap.TypeTLS, Label: tlsstep.LabelTLS, Version: -1, Length: true}
	TTLS = Kind{Type: eap.TypeTTLS, Label: tlsstep.LabelTTLS, Length: true}
	PEAP = Kind{Type: eap.TypePEAP, Label: tlsstep.LabelTLS}
)

// Frame returns the framing of the method; packets are at most fragmentSize
// octets, 0 means the default.
func (k Kind) Frame(fragmentSize int) tlsframe.Config {
	if fragmentSize == 0 {
		fragmentSize = FragmentSize
	}
	return tlsframe.Config{
		Version: uint8(max(k.Version, 0)), CheckVersion: k.Version >= 0,
		LengthAlways: k.Length, FragmentSize: fragmentSize,
	}
}
