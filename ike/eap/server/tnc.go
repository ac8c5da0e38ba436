package server

import (
	"errors"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tncframe"
)

var errTNCStart = errors.New("client sent a start packet")

// TNC is the framing of the server's half of EAP-TNC and PT-EAP: batches in and
// out; identifiers and the TNC server are the caller's.
type TNC struct {
	frame tncframe.Framer
}

// NewTNC returns the framing for eap.TypeTNC or eap.TypePT. FragmentSize is
// the largest EAP packet, in octets; 0 is 65535. PT-EAP never fragments.
func NewTNC(t eap.Type, fragmentSize int) (*TNC, error) {
	f, err := tncframe.New(t, fragmentSize)
	if err != nil {
		return nil, err
	}
	return &TNC{frame: f}, nil
}

// StartPacket returns the Type-Data of the first request.
func (s *TNC) StartPacket() []byte { return s.frame.StartPacket() }

// Receive takes the Type-Data of one response. With whole, batch is the
// peer's message, empty where it has nothing to say: answer with Send. Else
// next is the Type-Data of the following request: a fragment or an
// acknowledgement.
func (s *TNC) Receive(data []byte) (batch, next []byte, whole bool, err error) {
	ev, err := s.frame.Receive(data)
	switch {
	case err != nil:
		return nil, nil, false, err
	case ev == tlsframe.Start:
		return nil, nil, false, errTNCStart
	case ev == tlsframe.More:
		return nil, s.frame.Ack(), false, nil
	case ev == tlsframe.Ack && s.frame.Pending():
		return nil, s.frame.Next(), false, nil
	case ev == tlsframe.Ack:
		return nil, nil, true, nil
	}
	return s.frame.Message(), nil, true, nil
}

// Send returns the Type-Data of the request that carries the batch, or its
// first fragment.
func (s *TNC) Send(batch []byte) ([]byte, error) {
	if err := s.frame.Send(batch); err != nil {
		return nil, err
	}
	return s.frame.Next(), nil
}
