package server

import "github.com/gotnc/gotnc/tnccs/pb"

// Retry begins a new assessment after a decision, of the server's own accord:
// SRETRY, then SDATA (RFC 5793 §3.2). The transport has to be full duplex.
func (s *Server) Retry() (sretry, sdata []byte, err error) {
	if s.state != pb.Decided {
		return nil, nil, errEnded
	}
	s.result, s.queue = nil, nil
	s.imv.Begin()
	if sretry, err = s.build(pb.SRETRY, nil); err != nil {
		return nil, nil, err
	}
	var messages []pb.Message
	for _, m := range s.imv.BatchEnding() {
		messages = append(messages, m)
	}
	sdata, err = s.build(pb.SDATA, messages)
	return sretry, sdata, err
}
