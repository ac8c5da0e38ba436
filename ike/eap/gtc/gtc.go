// Package gtc is the peer's side of EAP-GTC (RFC 3748 section 5.6): the password
// travels as it is. It derives no key: run it inside a tunnel.
package gtc

import (
	"bytes"
	"errors"

	"github.com/gotnc/gotnc/ike/eap"
)

var errClosed = errors.New("method is closed")

// Method answers the server's prompt with the password.
type Method struct {
	password []byte
	done     bool
	closed   bool
}

// New returns the method for a password, which is copied.
func New(password []byte) *Method { return &Method{password: bytes.Clone(password)} }

// Offer returns the offer of this method for an eap.Config. The password
// stays the caller's.
func Offer(password []byte) eap.Offer {
	return eap.Offer{Type: eap.TypeGTC, New: func() (eap.Method, error) { return New(password), nil }}
}

// Type returns eap.TypeGTC.
func (m *Method) Type() eap.Type { return eap.TypeGTC }

// Handle answers one prompt, whatever its text.
func (m *Method) Handle(eap.Packet) (eap.Reply, error) {
	if m.closed {
		return eap.Reply{}, errClosed
	}
	m.done = true
	return eap.Reply{Data: bytes.Clone(m.password), Decision: eap.DecisionMaySucceed}, nil
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
