package pttls

import "github.com/gotnc/gotnc/internal/base/wire"

// VersionRequest is what the initiator of TLS sends first (RFC 6876 section 3.7.1).
//
//	0        1        2        3        4
//	+--------+--------+--------+--------+
//	| 0      | min    | max    | pref   |
//	+--------+--------+--------+--------+
type VersionRequest struct{ Min, Max, Preferred uint8 }

// AppendBinary encodes v.
func (v VersionRequest) AppendBinary(b []byte) ([]byte, error) {
	return append(b, 0, v.Min, v.Max, v.Preferred), nil
}

// VersionResponse answers it (RFC 6876 section 3.7.2): three octets 0, one with the version.
type VersionResponse struct{ Version uint8 }

// AppendBinary encodes v.
func (v VersionResponse) AppendBinary(b []byte) ([]byte, error) {
	return append(b, 0, 0, 0, v.Version), nil
}

// ParseVersionResponse decodes the value of a Version Response.
func ParseVersionResponse(value []byte) (VersionResponse, error) {
	r := wire.NewReader("PT-TLS Version Response", value)
	r.U24()
	v := VersionResponse{Version: r.U8()}
	if err := r.Finish(); err != nil {
		return VersionResponse{}, err
	}
	return v, nil
}
