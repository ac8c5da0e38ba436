package client

import (
	"encoding/json"
	"net/netip"
)

// lastState is what a run leaves for the next one of the same connection.
type lastState struct {
	VirtualIPs []netip.Addr `json:"virtual_ips,omitempty"`
}

// maxLastIPs bounds the virtual IPs that are taken of an earlier run.
const maxLastIPs = 16

// saveLast records the virtual IPs. Without run files it does nothing.
func (f *runFiles) saveLast(ips []netip.Addr) error {
	if f == nil {
		return nil
	}
	b, err := json.Marshal(lastState{VirtualIPs: ips})
	if err != nil {
		return err
	}
	return f.writeFile(stateExt, b, 0o600)
}

// last returns the virtual IPs of the last run, also of one that was killed.
func (f *runFiles) last() (ips []netip.Addr) {
	if f == nil {
		return nil
	}
	b, err := readLimited(f.path(stateExt), maxRunFile)
	if err != nil {
		return nil
	}
	var l lastState
	if json.Unmarshal(b, &l) != nil {
		return nil
	}
	for _, a := range l.VirtualIPs {
		if a.IsValid() && len(ips) < maxLastIPs {
			ips = append(ips, a)
		}
	}
	return ips
}
