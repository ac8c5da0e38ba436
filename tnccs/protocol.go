package tnccs

import "errors"

// Protocol is a binding of IF-TNCCS, by its name in strongSwan's setting
// eap-tnc.protocol.
type Protocol string

// Protocols. "" is ProtocolPB.
const (
	ProtocolPB  Protocol = "tnccs-2.0" // PB-TNC, RFC 5793
	ProtocolXML Protocol = "tnccs-1.1" // TNCCS-XML
	// ProtocolDynamic is the binding of the server where that speaks first, else
	// PB-TNC: only the side that speaks second can detect the other's binding.
	ProtocolDynamic Protocol = "tnccs-dynamic"
)

func (p Protocol) valid() bool {
	return p == "" || p == ProtocolPB || p == ProtocolXML || p == ProtocolDynamic
}

// ErrProtocol is returned for octets that begin no batch of a known protocol.
var ErrProtocol = errors.New("unknown TNCCS protocol")

// Detect returns the protocol of a connection, which the first octet of its first
// batch tells: RFC 5793 section 4.1 reserves the first octets of the other
// protocols as versions of PB-TNC.
func Detect(batch []byte) (Protocol, error) {
	if len(batch) == 0 {
		return "", ErrProtocol
	}
	switch batch[0] {
	case '\t', '\n', '\r', ' ', '<':
		return ProtocolXML, nil
	case 0x02:
		return ProtocolPB, nil
	}
	return "", ErrProtocol // 0x00 is Microsoft's SoH
}
