// Package capitest runs C programs that load imc-attestation.so as TNC clients
// do (testdata/*.c), and looks at what they saw.
package capitest
