// Package tnccs is a TNC client (TNCC). It runs Integrity Measurement Collectors
// (IMCs) and, for each connection to a TNC server, a session of PB-TNC (RFC 5793,
// IF-TNCCS 2.0) or TNCCS-XML (IF-TNCCS 1.1), whose messages it routes to the IMCs
// by their subscriptions.
//
// # Usage
//
// Make a Client and add IMCs to it. An IMC is a value of type IMC, or a shared
// library that package tnccs/dlimc loads:
//
//	client, err := tnccs.NewClient(tnccs.Config{})
//	…
//	defer client.Close()
//	err = dlimc.AddAll(client, "/etc/tnc_config", dlimc.Config{})
//
// Make a Session for each connection, and carry its batches over a transport:
// PT-TLS with package tnccs/pttls, or EAP-TNC and PT-EAP with package
// ike/eap/tnc, which both take a *Session as it is. Any other transport sends
// the batch of Begin, then calls Receive with each batch of the server and sends
// the answer, until Done reports true:
//
//	s := client.NewSession()
//	defer s.Close()
//	batch, err := s.Begin(0, tnccs.TransportEAP, "1.1")
//	for err == nil && len(batch) > 0 && !s.Done() {
//		batch, err = s.Receive(exchange(batch))
//	}
//	fmt.Println(s.Outcome().Recommendation)
//
// Package tnccs itself has no socket, file, clock or goroutine.
package tnccs
