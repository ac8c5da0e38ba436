package tnc

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/eap/tlsframe"
)

// ptFrame is the framing of PT-EAP (RFC 7171 §3.3): a flags octet, S and four
// reserved bits above three of version, then one PB-TNC batch. Nothing is
// fragmented.
type ptFrame struct {
	message []byte
	out     []byte
}

// Receive takes the Type-Data of one packet. strongSwan's empty packets say
// version 0: they are taken for what they are.
func (f *ptFrame) Receive(data []byte) (tlsframe.Event, error) {
	f.message = nil
	if len(data) <= 1 && (len(data) == 0 || data[0]&ptStart == 0) {
		return tlsframe.Ack, nil
	}
	version := data[0] & tlsframe.VersionMask
	if data[0]&ptStart != 0 {
		// A higher version of the server is answered with ours (RFC 7171 §3.4).
		if version < Version {
			return 0, fmt.Errorf("receive start: %w v%d", errVersion, version)
		}
		if len(data) > 1 {
			return 0, errStartData
		}
		return tlsframe.Start, nil
	}
	if version == 0 {
		return 0, errNoFlags
	}
	if version != Version {
		return 0, fmt.Errorf("receive packet: %w v%d", errVersion, version)
	}
	f.message = append([]byte(nil), data[1:]...)
	return tlsframe.Message, nil
}

func (f *ptFrame) Message() []byte { return f.message }

func (f *ptFrame) Send(msg []byte) error {
	if len(msg) > tlsframe.MaxFragment-ptOverhead {
		return fmt.Errorf("send PT-EAP batch of %d octets: %w", len(msg), errBatch)
	}
	f.out = msg
	return nil
}

func (f *ptFrame) Pending() bool { return len(f.out) > 0 }

func (f *ptFrame) Next() []byte {
	b := append(f.Ack(), f.out...)
	f.out = nil
	return b
}

func (f *ptFrame) Ack() []byte { return []byte{Version} }

func (f *ptFrame) StartPacket() []byte { return []byte{ptStart | Version} }
