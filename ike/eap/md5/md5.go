// Package md5 is the peer's side of EAP-MD5-Challenge (RFC 3748 section 5.4). It
// derives no key and does not authenticate the server: run it inside a tunnel.
package md5

import (
	"crypto/md5" //nolint:gosec // the method is defined on MD5
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

var (
	errEmpty  = errors.New("challenge has no value")
	errClosed = errors.New("method is closed")
)

// Value is the Type-Data of Request and Response:
//
//	Value-Size (1)  Value  Name
type Value struct {
	Value []byte // 1 to 255 octets
	Name  []byte // optional
}

// ParseValue decodes b; the slices are views into it.
func ParseValue(b []byte) (Value, error) {
	r := wire.NewReader("EAP-MD5", b)
	v := Value{Value: r.Bytes(int(r.U8()))}
	if r.Err() == nil && len(v.Value) == 0 {
		r.Fail(0, errEmpty)
	}
	v.Name = r.Rest()
	if err := r.Err(); err != nil {
		return Value{}, err
	}
	return v, nil
}

// AppendBinary appends the encoded value to b.
func (v Value) AppendBinary(b []byte) ([]byte, error) {
	b, err := wire.AppendVec8(b, v.Value)
	if err != nil {
		return b, fmt.Errorf("encode EAP-MD5 value: %w", err)
	}
	return append(b, v.Name...), nil
}

// Response returns MD5(id ‖ password ‖ challenge) (RFC 1994 section 4.1).
func Response(id uint8, password, challenge []byte) [md5.Size]byte {
	h := md5.New() //nolint:gosec // as above
	h.Write([]byte{id})
	h.Write(password)
	h.Write(challenge)
	return [md5.Size]byte(h.Sum(nil))
}

// Method answers challenges.
type Method struct {
	password []byte
	done     bool
	closed   bool
}

// New returns the method for a password, which is copied.
func New(password []byte) *Method {
	return &Method{password: append([]byte(nil), password...)}
}

// Offer returns the offer of this method for an eap.Config. The password
// stays the caller's.
func Offer(password []byte) eap.Offer {
	return eap.Offer{Type: eap.TypeMD5, New: func() (eap.Method, error) { return New(password), nil }}
}

// Type returns eap.TypeMD5.
func (m *Method) Type() eap.Type { return eap.TypeMD5 }

// Handle answers one challenge.
func (m *Method) Handle(req eap.Packet) (eap.Reply, error) {
	if m.closed {
		return eap.Reply{}, errClosed
	}
	v, err := ParseValue(req.Data)
	if err != nil {
		return eap.Reply{}, err
	}
	sum := Response(req.ID, m.password, v.Value)
	data, err := Value{Value: sum[:]}.AppendBinary(nil)
	if err != nil {
		return eap.Reply{}, err
	}
	m.done = true
	return eap.Reply{Data: data, Decision: eap.DecisionMaySucceed}, nil
}

// Explain returns eap.ErrCredentials once the server has the answer.
func (m *Method) Explain() error {
	if !m.done {
		return nil
	}
	return eap.ErrCredentials
}

// Close zeroes the password.
func (m *Method) Close() {
	clear(m.password)
	m.closed = true
}
