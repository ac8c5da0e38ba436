package tnccs

import "errors"

// Protocol is a version of IF-TNCCS, as strongSwan's setting eap-tnc.protocol
// names it.
type Protocol string

// Protocols. "" is ProtocolPB.
const (
	ProtocolPB  Protocol = "tnccs-2.0" // PB-TNC, RFC 5793
	ProtocolXML Protocol = "tnccs-1.1" // TNCCS-XML
	// ProtocolDynamic speaks what the server does where that speaks first, else
	// PB-TNC: only who speaks second can find out.
	ProtocolDynamic Protocol = "tnccs-dynamic"
)

func (p Protocol) valid() bool {
	return p == "" || p == ProtocolPB || p == ProtocolXML || p == ProtocolDynamic
}

// ErrProtocol says that the octets are those of no protocol known here.
var ErrProtocol = errors.New("unknown TNCCS protocol")

// Detect finds the protocol of a connection by the first octet of its first
// batch (RFC 5793 §4.1 reserves those of the others as versions of PB-TNC).
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
