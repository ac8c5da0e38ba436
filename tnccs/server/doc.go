// Package server is the TNC server's half of PB-TNC (RFC 5793), for one
// connection over a half-duplex transport: batches in, batches out, without a
// socket, goroutine or clock. In mutual measurement a TNC client runs it beside
// its own session, to measure the peer; test gateways run it alone.
//
// A Session has one Integrity Measurement Verifier behind it, the IMV, which
// sees PA-TNC messages and decides.
package server
