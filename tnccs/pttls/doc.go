// Package pttls carries PB-TNC over TLS: PT-TLS (RFC 6876, TCG's IF-T Binding to
// TLS 2.0), as its client.
//
// Dial connects, verifies the server's certificate against a CA and its name,
// negotiates the version, and authenticates this end: with a certificate inside
// TLS, with SASL PLAIN or EXTERNAL, or not at all, as the server asks. Run then
// drives one PB-TNC session. No secret is sent before the server is verified.
package pttls
