// Package gtc is the peer's side of EAP-GTC (RFC 3748 §5.6): the password
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

// Explain names the likely cause of a Failure.
func (m *Method) Explain() string {
	if !m.done {
		return ""
	}
	return "the server refused the EAP identity or its password; check the identity and the secret of this connection"
}

// Close zeroes the password.
func (m *Method) Close() {
	clear(m.password)
	m.closed = true
}
