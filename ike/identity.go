package ike

import "github.com/gotnc/gotnc/ike/message"

// Identity is who an end says it is (RFC 7296 section 3.5). The zero value is
// %any.
type Identity = message.Identity

// ParseIdentity parses an identity in swanctl.conf's notation. "*.example.org",
// "*@example.org" and distinguished names with "*" values are patterns.
func ParseIdentity(s string) (Identity, error) { return message.ParseIdentity(s) }

// MustParseIdentity is ParseIdentity for identities that are constants of a
// program; it panics where s is none.
func MustParseIdentity(s string) Identity {
	id, err := ParseIdentity(s)
	if err != nil {
		panic(err)
	}
	return id
}
