package tnccs

// attribute answers GetAttribute for the connection (IF-IMC §3.8.6.7).
func (s *Session) attribute(a uint32) ([]byte, Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		return nil, ResultInvalidParameter
	}
	text := func(t string) ([]byte, Result) { return append([]byte(t), 0), ResultSuccess }
	switch a {
	case AttrTLSUnique:
		if s.tlsUnique != nil {
			return s.tlsUnique, ResultSuccess
		}
	case AttrMaxRoundTrips:
		return u32(0xffffffff), ResultSuccess
	case AttrMaxMessageSize:
		return u32(uint32(s.maxMsg)), ResultSuccess
	case AttrHasLongTypes, AttrHasExclusive:
		if s.xml != nil {
			return []byte{0}, ResultSuccess
		}
		return []byte{1}, ResultSuccess
	case AttrHasSOH:
		return []byte{0}, ResultSuccess
	case AttrIFTNCCSProtocol:
		return text("IF-TNCCS")
	case AttrIFTNCCSVersion:
		if s.xml != nil {
			return text("1.1")
		}
		return text("2.0")
	case AttrIFTProtocol:
		return text(s.protocol)
	case AttrIFTVersion:
		return text(s.version)
	}
	return nil, ResultInvalidParameter
}
