package tnccs

// attribute returns the value of an attribute of the connection (IF-IMC 1.3,
// TNC_TNCC_GetAttribute).
func (s *Session) attribute(id AttributeID) ([]byte, Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		return nil, ResultInvalidParameter
	}
	text := func(t string) ([]byte, Result) { return append([]byte(t), 0), ResultSuccess }
	switch id {
	case AttributeTLSUnique:
		if s.tlsUnique != nil {
			return s.tlsUnique, ResultSuccess
		}
	case AttributeMaxRoundTrips:
		return u32(0xffffffff), ResultSuccess
	case AttributeMaxMessageSize:
		return u32(uint32(s.maxMsg)), ResultSuccess
	case AttributeHasLongTypes, AttributeHasExclusive:
		if s.xml != nil {
			return []byte{0}, ResultSuccess
		}
		return []byte{1}, ResultSuccess
	case AttributeHasSOH:
		return []byte{0}, ResultSuccess
	case AttributeIFTNCCSProtocol:
		return text("IF-TNCCS")
	case AttributeIFTNCCSVersion:
		if s.xml != nil {
			return text("1.1")
		}
		return text("2.0")
	case AttributeIFTProtocol:
		return text(s.protocol)
	case AttributeIFTVersion:
		return text(s.version)
	}
	return nil, ResultInvalidParameter
}
