// Package pttls carries PB-TNC over TLS: it is the client of PT-TLS (RFC 6876,
// TCG's IF-T Binding to TLS 2.0).
//
// # Usage
//
// Dial connects, verifies the server's certificate against a CA and its name,
// negotiates the version, and authenticates this end: with a certificate inside
// TLS, with SASL PLAIN or EXTERNAL, or not at all, as the server asks. Run then
// carries one PB-TNC session, such as a *tnccs.Session:
//
//	conn, err := pttls.Dial(ctx, "pdp.example.org:271", pttls.Config{
//		Roots:      roots,
//		ServerName: "pdp.example.org",
//	})
//	…
//	session := client.NewSession()
//	defer session.Close()
//	err = conn.Run(ctx, session)
//	fmt.Println(session.Outcome().Recommendation)
//
// No secret is sent before the server is verified. ErrTLS, ErrAuthentication and
// ErrNoCredentials tell the failures of Dial apart. A session whose KeepOpen was
// called stays connected for later assessments.
//
// Package pttlstest is a server for tests.
package pttls
