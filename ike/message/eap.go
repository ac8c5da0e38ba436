package message

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// EAP is the EAP payload (RFC 7296 section 3.16): one EAP packet, whose own length
// field equals the payload's.
type EAP struct{ Packet []byte }

// Type returns TypeEAP.
func (*EAP) Type() PayloadType { return TypeEAP }

func parseEAP(r *wire.Reader) *EAP {
	at := r.Offset()
	p := &EAP{Packet: clone(r.Rest())}
	if r.Err() == nil && !validEAP(p.Packet) {
		r.Fail(at, wire.ErrLength)
	}
	return p
}

func validEAP(b []byte) bool {
	return len(b) >= 4 && int(b[2])<<8|int(b[3]) == len(b)
}

// AppendBody appends the packet.
func (p *EAP) AppendBody(b []byte) ([]byte, error) {
	if !validEAP(p.Packet) {
		return b, fmt.Errorf("EAP packet: %w", wire.ErrLength)
	}
	return append(b, p.Packet...), nil
}

var (
	eapCodes = map[byte]string{1: "REQ", 2: "RES", 3: "SUCC", 4: "FAIL"}
	eapTypes = map[byte]string{
		1: "ID", 2: "NTF", 3: "NAK", 4: "MD5", 5: "OTP", 6: "GTC", 13: "TLS", 18: "SIM", 21: "TTLS", 23: "AKA", 25: "PEAP",
		26: "MSCHAPV2", 33: "MSTLV", 38: "TNC", 54: "PT", 254: "EXP", 255: "XP",
	}
)

func (p *EAP) summary() string {
	if len(p.Packet) < 4 {
		return "EAP"
	}
	code, ok := eapCodes[p.Packet[0]]
	if !ok {
		code = fmt.Sprintf("(%d)", p.Packet[0])
	}
	if len(p.Packet) == 4 || p.Packet[0] > 2 {
		return "EAP/" + code
	}
	typ, ok := eapTypes[p.Packet[4]]
	if !ok {
		typ = fmt.Sprintf("(%d)", p.Packet[4])
	}
	return "EAP/" + code + "/" + typ
}
