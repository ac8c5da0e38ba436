// Package pts is TCG's Platform Trust Services protocol over PA-TNC (PTS
// Protocol: Binding to TNC IF-M 1.0): its attributes, and the Machine that
// answers a verifier's requests in the role of the collector.
//
// The Machine reads no file and no TPM itself; it asks the Measurer it is given.
package pts
