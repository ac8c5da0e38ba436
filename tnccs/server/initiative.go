package server

import "github.com/gotnc/gotnc/tnccs/pb"

// Open returns the first batch of a server that speaks first, as it does on a
// client's connection in mutual measurement: SDATA in state Init.
func (s *Session) Open() ([]byte, error) {
	if s.state != pb.Init {
		return nil, ErrEnded
	}
	return s.beginWith(pb.SDATA)
}

// Retry begins a new assessment after a decision, on the server's initiative:
// SRETRY, then SDATA (RFC 5793 section 3.2). The transport must be full duplex.
func (s *Session) Retry() (sretry, sdata []byte, err error) {
	if s.state != pb.Decided {
		return nil, nil, ErrEnded
	}
	if sretry, err = s.build(pb.SRETRY, nil); err != nil {
		return nil, nil, err
	}
	sdata, err = s.beginWith(pb.SDATA)
	return sretry, sdata, err
}

// beginWith starts an assessment and returns the first messages of the IMV in a
// batch of type t.
func (s *Session) beginWith(t pb.BatchType) ([]byte, error) {
	s.begin()
	var messages []pb.Message
	for _, m := range s.imv.BatchEnding() {
		messages = append(messages, m)
	}
	return s.build(t, messages)
}
