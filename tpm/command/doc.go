// Package command carries commands to a TPM of either generation: a Conn sends
// them over a Transport one at a time, asks a TPM that is busy again, and checks
// the frame of every reply. What the commands mean is known to packages tpm12
// and tpm20.
package command
