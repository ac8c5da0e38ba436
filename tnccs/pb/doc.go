// Package pb is the codec of PB-TNC (RFC 5793, TCG IF-TNCCS 2.0): batches, the
// messages inside them, the errors of the protocol, and the state table of a
// session. It serves both ends: a Posture Broker Client (TNCC) and a Posture
// Broker Server (TNCS).
//
// A receiver checks in the order of RFC 5793 section 4: ParseHeader, then the state
// (State.Next), then ParseMessages, which decodes every message before one may
// be acted upon.
package pb
