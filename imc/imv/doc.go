// Package imv is an Integrity Measurement Verifier: it asks an Attestation IMC
// for its platform, files, directories and metadata, compares the digests with a
// Policy and recommends whether the platform gets access. The tnc client measures
// its gateway with it in mutual measurement, the reference gateway its clients.
//
// # Usage
//
// A Verifier serves one TNC connection. It is a machine: PA-TNC messages go in
// and come out, and it uses no socket, clock or goroutine. The TNC server that it
// belongs to calls
//
//	v, err := imv.New(imv.Config{Policy: imv.Policy{Files: map[string]string{"/usr/sbin/sshd": digest}}})
//	v.Begin()
//	for each batch of the client {
//		v.Receive(m)          // each message of the batch
//		send(v.BatchEnding()) // what the verifier asks
//		d, ok := v.Decision() // ok: decided
//	}
//
// Report tells what was measured, and what was wrong.
package imv
