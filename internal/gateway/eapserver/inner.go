// Package eapserver is the EAP server of the reference gateway: EAP-TTLS with
// MD5, EAP-TNC and PT-EAP inside. It is a machine apart from the TLS stepper.
package eapserver

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tnc"
)

// TNCServer is a PB-TNC server for one connection. Receive takes the client's
// batch and returns the answer; an empty answer without an error means that
// the connection is over. Allowed tells whether the client may in, then.
type TNCServer interface {
	Receive(batch []byte) (reply []byte, err error)
	Done() bool
	Allowed() bool
	Close()
}

// method is the server's half of an inner method. Both functions return the
// Type-Data of the next request; done ends the method, with err where it
// failed.
type method interface {
	typ() eap.Type
	start() []byte
	process(id uint8, data []byte) (request []byte, done bool, err error)
	close()
}

// Causes of a failed authentication.
var (
	ErrPassword = errors.New("wrong name or password")
	ErrDenied   = errors.New("access denied by the verifier")
)

// md5Method is MD5-Challenge (RFC 3748 §5.4).
type md5Method struct {
	challenge [16]byte
	password  string
	known     bool
}

func newMD5(users map[string]string, identity string) (*md5Method, error) {
	m := &md5Method{}
	m.password, m.known = users[identity]
	if _, err := rand.Read(m.challenge[:]); err != nil {
		return nil, fmt.Errorf("draw challenge: %w", err)
	}
	return m, nil
}

func (m *md5Method) typ() eap.Type { return eap.TypeMD5 }
func (m *md5Method) start() []byte { return append([]byte{16}, m.challenge[:]...) }
func (m *md5Method) close()        { m.password = "" }

func (m *md5Method) process(id uint8, data []byte) ([]byte, bool, error) {
	if len(data) < 17 || data[0] != 16 {
		return nil, true, errors.New("malformed MD5-Challenge response")
	}
	h := md5.New()
	h.Write([]byte{id})
	h.Write([]byte(m.password))
	h.Write(m.challenge[:])
	if subtle.ConstantTimeCompare(h.Sum(nil), data[1:17]) != 1 || !m.known {
		return nil, true, ErrPassword
	}
	return nil, true, nil
}

// tncMethod is EAP-TNC or PT-EAP.
type tncMethod struct {
	kind   eap.Type
	frame  *tnc.Server
	server TNCServer
}

func newTNC(kind eap.Type, fragmentSize int, server TNCServer) (*tncMethod, error) {
	f, err := tnc.NewServer(kind, fragmentSize)
	if err != nil {
		return nil, err
	}
	return &tncMethod{kind: kind, frame: f, server: server}, nil
}

func (m *tncMethod) typ() eap.Type { return m.kind }
func (m *tncMethod) start() []byte { return m.frame.StartPacket() }
func (m *tncMethod) close()        { m.server.Close() }

func (m *tncMethod) process(_ uint8, data []byte) ([]byte, bool, error) {
	batch, next, whole, err := m.frame.Receive(data)
	if err != nil {
		return nil, true, err
	}
	if !whole {
		return next, false, nil
	}
	if len(batch) > 0 {
		reply, err := m.server.Receive(batch)
		if err != nil {
			return nil, true, err
		}
		if len(reply) > 0 {
			next, err := m.frame.Send(reply)
			return next, err != nil, err
		}
	}
	switch {
	case !m.server.Done():
		return nil, true, errors.New("the TNC client has nothing to say before the verifier has decided")
	case !m.server.Allowed():
		return nil, true, ErrDenied
	}
	return nil, true, nil
}
