package server

import "github.com/gotnc/gotnc/tnccs/pb"

// Open returns the first batch of a server that speaks first, as the server half
// on a transport's client does in mutual measurement: SDATA in state Init.
func (s *Server) Open() ([]byte, error) {
	if s.state != pb.Init {
		return nil, errEnded
	}
	s.imv.Begin()
	var messages []pb.Message
	for _, m := range s.imv.BatchEnding() {
		messages = append(messages, m)
	}
	return s.build(pb.SDATA, messages)
}

// State returns the state of the connection.
func (s *Server) State() pb.State { return s.state }
