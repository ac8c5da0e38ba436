package ike

import "github.com/gotnc/gotnc/ike/message"

// Identity is who an end says it is (RFC 7296 §3.5); message.ParseIdentity
// reads one. The zero value is %any.
type Identity = message.Identity

// ParseIdentity reads an identity in swanctl.conf's notation. "*.example.org",
// "*@example.org" and distinguished names with "*" values are patterns.
func ParseIdentity(s string) (Identity, error) { return message.ParseIdentity(s) }
