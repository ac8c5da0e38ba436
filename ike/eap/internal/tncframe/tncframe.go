// Package tncframe is the framing of EAP-TNC (TCG IF-T for Tunneled EAP 1.1)
// and PT-EAP (RFC 7171). Peer and server share it.
package tncframe

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
)

const (
	// Version is the only version of both methods.
	Version = 1
	// MessageMax is the largest reassembled batch in octets, as in hostap.
	MessageMax = 75000

	ptStart    = 0x80 // S flag of PT-EAP (RFC 7171 section 3.3)
	ptOverhead = 6    // EAP header, type and flags
)

// Causes of a packet that is refused.
var (
	ErrStartData = errors.New("start packet carries data")
	ErrBatch     = errors.New("batch exceeds what the transport carries")
	ErrType      = errors.New("type is neither EAP-TNC nor PT-EAP")
	ErrVersion   = errors.New("unsupported version")
	ErrNoFlags   = errors.New("packet has data but version 0")
)

// Framer is the framing of one end of one conversation. Receive, Send and Next
// work as those of tlsframe.Conn.
type Framer interface {
	Receive(data []byte) (tlsframe.Event, error)
	Message() []byte
	Send(msg []byte) error
	Pending() bool
	Next() []byte
	Ack() []byte
	StartPacket() []byte
}

// New returns the framing for eap.TypeTNC or eap.TypePT. FragmentSize is the
// largest EAP packet in octets, 0 means 65535; PT-EAP never fragments.
func New(t eap.Type, fragmentSize int) (Framer, error) {
	switch t {
	case eap.TypeTNC:
		if fragmentSize == 0 {
			fragmentSize = tlsframe.MaxFragment
		}
		return tlsframe.New(tlsframe.Config{
			Version: Version, CheckVersion: true,
			FragmentSize: fragmentSize, MaxMessage: MessageMax,
		}), nil
	case eap.TypePT:
		return &pt{}, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrType, t)
}
