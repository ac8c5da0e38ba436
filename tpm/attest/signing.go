package attest

import "errors"

// Errors of signing keys, of both generations.
var (
	// ErrRestricted is returned for a key that signs only what the TPM made itself: an
	// attestation key.
	ErrRestricted = errors.New("the key is restricted to what the TPM makes itself (an attestation key)")
	// ErrNotSigning is returned for a key that does not sign.
	ErrNotSigning = errors.New("the key does not sign")
	// ErrPassword is returned where the key's password is wrong, or is missing.
	ErrPassword = errors.New("the password is wrong")
	// ErrPCRs is returned where PCRs have other values than the key is bound to.
	ErrPCRs = errors.New("the PCRs have other values than those that the key is bound to")
)
