package pb

import "encoding/binary"

// MessageAt returns the type of the message of a batch that the octet at an
// offset belongs to, as a PB-Error gives it. ok is false for the batch's header
// and for what lies beyond the batch.
func MessageAt(batch []byte, offset uint32) (t MessageType, ok bool) {
	for at := HeaderSize; len(batch)-at >= MessageOverhead; {
		h := batch[at:]
		n := binary.BigEndian.Uint32(h[8:])
		if n < MessageOverhead || uint64(n) > uint64(len(h)) {
			return MessageType{}, false
		}
		if int64(offset) < int64(at) {
			return MessageType{}, false
		}
		if int64(offset) < int64(at)+int64(n) {
			return MessageType{Vendor: u24(h[1:]), Type: binary.BigEndian.Uint32(h[4:])}, true
		}
		at += int(n)
	}
	return MessageType{}, false
}
