package tncframe

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
)

// pt is the framing of PT-EAP (RFC 7171 section 3.3): a flags octet, S and four
// reserved bits above three of version, then one PB-TNC batch. Nothing is
// fragmented.
type pt struct {
	message []byte
	out     []byte
}

// Receive takes the Type-Data of one packet. strongSwan's empty packets have
// version 0; they are accepted.
func (f *pt) Receive(data []byte) (tlsframe.Event, error) {
	f.message = nil
	if len(data) <= 1 && (len(data) == 0 || data[0]&ptStart == 0) {
		return tlsframe.Ack, nil
	}
	version := data[0] & tlsframe.VersionMask
	if data[0]&ptStart != 0 {
		// A higher version of the server is answered with this one (RFC 7171 section 3.4).
		if version < Version {
			return 0, fmt.Errorf("receive start: %w v%d", ErrVersion, version)
		}
		if len(data) > 1 {
			return 0, ErrStartData
		}
		return tlsframe.Start, nil
	}
	if version == 0 {
		return 0, ErrNoFlags
	}
	if version != Version {
		return 0, fmt.Errorf("receive packet: %w v%d", ErrVersion, version)
	}
	f.message = append([]byte(nil), data[1:]...)
	return tlsframe.Message, nil
}

func (f *pt) Message() []byte { return f.message }

func (f *pt) Send(msg []byte) error {
	if len(msg) > tlsframe.MaxFragment-ptOverhead {
		return fmt.Errorf("send PT-EAP batch of %d octets: %w", len(msg), ErrBatch)
	}
	f.out = msg
	return nil
}

func (f *pt) Pending() bool { return len(f.out) > 0 }

func (f *pt) Next() []byte {
	b := append(f.Ack(), f.out...)
	f.out = nil
	return b
}

func (f *pt) Ack() []byte { return []byte{Version} }

func (f *pt) StartPacket() []byte { return []byte{ptStart | Version} }
