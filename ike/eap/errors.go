package eap

import (
	"errors"
	"fmt"
)

// Errors about what the server says of the whole conversation.
var (
	// ErrFailure is wrapped by errors about the server's EAP-Failure, mostly
	// together with one of its causes below.
	ErrFailure = errors.New("received EAP_FAILURE")
	// ErrEarly is wrapped by errors about an EAP-Success that comes while the
	// method rules it out.
	ErrEarly = errors.New("received EAP_SUCCESS before the method completed; the gateway has not proven that it holds the keys")
)

// Probable causes of an EAP-Failure: EAP does not tell the peer why it failed,
// these say what the peer knows.
var (
	ErrNoMethodOffered = errors.New("the server offered no method")
	ErrIdentityRefused = errors.New("the server does not accept the EAP identity")
	ErrNoCommonMethod  = errors.New("the server asks for a method that is not configured here")
	ErrCredentials     = errors.New("the server refused the EAP identity or its password")
	ErrCertificate     = errors.New("the server refused the client's certificate")
	ErrHandshakeEnded  = errors.New("the server gave up before the TLS tunnel was complete")
	ErrPolicy          = errors.New("the gateway's policy refused this device after its assessment")
)

// MessageCountError reports that the server sent more packets of a method than
// the method's configuration allows.
type MessageCountError struct {
	Type  Type
	Limit int // packets that were allowed
}

func (e *MessageCountError) Error() string {
	return fmt.Sprintf("server sent more %s packets than allowed (%d)", e.Type, e.Limit)
}
