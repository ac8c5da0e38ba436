// Package pb is the codec of PB-TNC (RFC 5793, TCG IF-TNCCS 2.0): batches, the
// messages inside them, the errors of the protocol, and the state table of a
// session. It serves both ends: a Posture Broker Client (TNCC) and a Posture
// Broker Server (TNCS).
//
// # Usage
//
// A sender fills a batch of limited size with a Builder:
//
//	b := pb.NewBuilder(pb.CDATA, pb.Client, pb.DefaultMaxBatchEAP)
//	fits, err := b.Add(pb.PA{…})
//	batch := b.Bytes()
//
// A receiver checks in the order of RFC 5793 section 4: ParseHeader, then the
// state (State.Next), then ParseMessages, which decodes every message before one
// may be acted upon. AppendItems is ParseMessages without its copies. Errors are
// *ProtocolError, whose Message is the PB-Error to send; they unwrap to the
// causes of package gotnc.
//
// Batch, with Parse and AppendBinary, is a whole batch as one value, for tools
// and tests that look at no state.
package pb
