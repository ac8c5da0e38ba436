// Package pts is TCG's Platform Trust Services protocol over PA-TNC (PTS
// Protocol: Binding to TNC IF-M 1.0): its attributes, and the Machine that
// answers a verifier's requests in the role of the collector.
//
// # Usage
//
// Attributes is the Registry that patnc.Parse needs for the attributes of PTS. A
// Machine serves one verifier on one connection: NewMachine makes it, Handle
// answers one attribute with the attributes to send, Reset begins another
// handshake, Close zeroes the secrets.
//
// The Machine reads no file, clock or TPM itself: it asks the Measurer, Quoter and
// Collector of its Config. imc/measure, imc/evidence/quoter and imc/evidence
// implement them for Linux.
package pts
