package ike

import "fmt"

// EAPOnly returns the Config of a connection in which one EAP method proves both
// ends (RFC 5998): this end is local, the gateway has to be remote, both in the
// notation of ParseIdentity. The caller adds what is not about who they are.
func EAPOnly(local, remote string, method EAP) (Config, error) {
	us, err := ParseIdentity(local)
	if err != nil {
		return Config{}, fmt.Errorf("ike: local identity: %w", err)
	}
	them, err := ParseIdentity(remote)
	if err != nil {
		return Config{}, fmt.Errorf("ike: remote identity: %w", err)
	}
	return Config{
		LocalRounds:  []LocalRound{{ID: us, EAP: method}},
		RemoteRounds: []RemoteRound{{ID: them, Method: RemoteEAP}},
	}, nil
}
