package dataplane

import "errors"

// Reasons for which a plane cannot do something.
var (
	// ErrRekey: packets follow to the new path when the CHILD_SAs are rekeyed.
	ErrRekey = errors.New("the CHILD_SAs have to be rekeyed to follow the path")
	// ErrUDP: the plane carries ESP in UDP only, and the peers did not agree on it.
	ErrUDP = errors.New("the gateway does not take ESP in UDP")
	// ErrNoTrap: the plane catches no packets.
	ErrNoTrap = errors.New("the data plane catches no packets")
	// ErrNoSocket: Attach was not called.
	ErrNoSocket = errors.New("the data plane has no socket")
	// ErrNoRight: the process may not make devices, routes, states and policies.
	ErrNoRight = errors.New("the right CAP_NET_ADMIN is missing")
)
