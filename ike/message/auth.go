package message

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// AuthMethod is an authentication method (RFC 7296 section 3.8, RFC 7427).
type AuthMethod uint8

// Authentication methods.
const (
	AuthRSA              AuthMethod = 1
	AuthSharedKey        AuthMethod = 2 // PSK, and EAP
	AuthDSS              AuthMethod = 3
	AuthECDSA256         AuthMethod = 9
	AuthECDSA384         AuthMethod = 10
	AuthECDSA521         AuthMethod = 11
	AuthNull             AuthMethod = 13
	AuthDigitalSignature AuthMethod = 14
)

func (m AuthMethod) String() string {
	switch m {
	case AuthRSA:
		return "RSA signature"
	case AuthSharedKey:
		return "pre-shared key"
	case AuthDSS:
		return "DSS signature"
	case AuthECDSA256:
		return "ECDSA-256 signature"
	case AuthECDSA384:
		return "ECDSA-384 signature"
	case AuthECDSA521:
		return "ECDSA-521 signature"
	case AuthNull:
		return "NULL authentication"
	case AuthDigitalSignature:
		return "digital signature"
	}
	return fmt.Sprintf("AUTH_METHOD_%d", uint8(m))
}

// Auth is the Authentication payload (RFC 7296 section 3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// Type returns TypeAuth.
func (*Auth) Type() PayloadType { return TypeAuth }

func parseAuth(r *wire.Reader) *Auth {
	m := AuthMethod(r.U8())
	r.Skip(3)
	return &Auth{Method: m, Data: clone(r.Rest())}
}

// AppendBody appends method and data.
func (p *Auth) AppendBody(b []byte) ([]byte, error) {
	return append(append(b, byte(p.Method), 0, 0, 0), p.Data...), nil
}
