package pb

import "github.com/gotnc/gotnc/internal/base/wire"

// Bits of MutualCapability.
const (
	MutualHalfDuplex = 0x80000000
	MutualFullDuplex = 0x40000000
)

// MutualCapability is strongSwan's PB-Mutual-Capability message (ITA-HSR): a
// mask of the ways of mutual measurement that the sender can do.
type MutualCapability struct{ Protocols uint32 }

// MessageType returns TypeMutualCapability.
func (MutualCapability) MessageType() MessageType { return TypeMutualCapability }

// AppendBinary appends the message.
func (m MutualCapability) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, 0, TypeMutualCapability, func(b []byte) ([]byte, error) {
		return wire.AppendU32(b, m.Protocols), nil
	})
}

func parseMutualCapability(r *wire.Reader) (Message, error) {
	m := MutualCapability{Protocols: r.U32()}
	r.Rest() // "not fixed": later versions may append
	return m, r.Err()
}
