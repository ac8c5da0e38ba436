// Package measure reads what the Attestation IMC reports: digests and metadata
// of files (Files, a pts.Measurer), and facts of the operating system
// (Platform, an imc.Platform).
//
// It runs as root on paths that a verifier names. So it reads regular files
// only, never waits for a device, a FIFO or a blocking pseudo file, and bounds
// files, octets and time of every call.
package measure
