// Package eapserver is the EAP server of the reference gateway: EAP-TTLS with
// MD5, EAP-TNC and PT-EAP inside. It is a machine apart from the TLS stepper.
package eapserver

import (
	"errors"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/server"
)

// TNCServer is a PB-TNC server for one connection. Receive takes the client's
// batch and returns the answer; an empty answer without an error means that
// the connection is over. Allowed reports whether the client is admitted then.
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
	process(data []byte) (request []byte, done bool, err error)
	close()
}

// Causes of a failed authentication.
var (
	ErrPassword = errors.New("wrong name or password")
	ErrDenied   = errors.New("access denied by the verifier")
)

// md5Method is MD5-Challenge (RFC 3748 section 5.4).
type md5Method struct {
	challenge *server.MD5
	request   []byte // Type-Data of the challenge
	password  string
	known     bool
}

// newMD5 returns the method whose challenge has the identifier id.
func newMD5(id uint8, users map[string]string, identity string) (*md5Method, error) {
	m := &md5Method{}
	m.password, m.known = users[identity]
	var err error
	m.challenge, m.request, err = server.NewMD5(id)
	return m, err
}

func (m *md5Method) typ() eap.Type { return eap.TypeMD5 }
func (m *md5Method) start() []byte { return m.request }
func (m *md5Method) close()        { m.password = "" }

func (m *md5Method) process(data []byte) ([]byte, bool, error) {
	if !m.challenge.Verify(data, []byte(m.password)) || !m.known {
		return nil, true, ErrPassword
	}
	return nil, true, nil
}

// tncMethod is EAP-TNC or PT-EAP.
type tncMethod struct {
	kind   eap.Type
	frame  *server.TNC
	server TNCServer
}

func newTNC(kind eap.Type, fragmentSize int, tncServer TNCServer) (*tncMethod, error) {
	f, err := server.NewTNC(kind, fragmentSize)
	if err != nil {
		return nil, err
	}
	return &tncMethod{kind: kind, frame: f, server: tncServer}, nil
}

func (m *tncMethod) typ() eap.Type { return m.kind }
func (m *tncMethod) start() []byte { return m.frame.StartPacket() }
func (m *tncMethod) close()        { m.server.Close() }

func (m *tncMethod) process(data []byte) ([]byte, bool, error) {
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
