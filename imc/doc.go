// Package imc is the Attestation Integrity Measurement Collector behind the
// IF-IMC 1.3 interface, without any C: the Agent answers the calls that a TNC
// client makes (Initialize, NotifyConnectionChange, BeginHandshake,
// ReceiveMessage …) and calls back through a Host.
//
// It holds no file, socket, clock or goroutine: what it measures it asks of a
// Measurer (imc/pts) and a Platform, both injected.
package imc
