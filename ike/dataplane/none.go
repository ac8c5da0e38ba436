package dataplane

import (
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
)

// nonePlane carries no packets: it zeroes the keys that it is given.
type nonePlane struct{}

// NewNone returns a plane that carries no packets.
func NewNone() Plane { return nonePlane{} }

func (nonePlane) Info() Info                 { return Info{Kind: None} }
func (nonePlane) Attach(Socket) error        { return nil }
func (nonePlane) Trap(...*ike.ChildSA) error { return ErrNoTrap }

func (nonePlane) Install(child *ike.ChildSA, _ bool) error {
	child.Zero()
	return nil
}

func (nonePlane) Activate(uint32) error               { return nil }
func (nonePlane) Remove(uint32) error                 { return nil }
func (nonePlane) Move(ike.Moved) error                { return nil }
func (nonePlane) Leftovers(...*ike.ChildSA) Leftovers { return Leftovers{} }
func (nonePlane) Stats() esp.Stats                    { return esp.Stats{} }
func (nonePlane) ChildStats(uint32) (esp.Stats, bool) { return esp.Stats{}, false }
func (nonePlane) Close() error                        { return nil }
