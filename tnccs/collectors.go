package tnccs

import (
	"github.com/gotnc/gotnc/internal/base/ifimc"
)

// IMCs returns the names of the collectors in load order, without those lost.
func (c *Client) IMCs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, col := range c.imcs {
		if !col.lost.Load() {
			names = append(names, col.name)
		}
	}
	return names
}

// Collector describes one IMC of the client.
type Collector struct {
	ID     uint32
	Name   string
	Source string // path of the library, where it is one
	Interface
	Types []MessageType
	Lost  bool // it crashed or hung and has not been started again
}

// MessageType is a kind of PA-TNC messages that an IMC receives. AnyVendor and
// AnySubtype stand for all.
type MessageType struct{ Vendor, Subtype uint32 }

// String returns "'TCG/PTS' 0x005597/0x00000001".
func (t MessageType) String() string { return ifimc.MessageName(t.Vendor, t.Subtype) }

// Collectors describes the IMCs in load order.
func (c *Client) Collectors() []Collector {
	c.mu.Lock()
	out := make([]Collector, 0, len(c.imcs))
	imcs := make([]IMC, 0, len(c.imcs))
	for _, col := range c.imcs {
		d := Collector{ID: col.id, Name: col.name, Lost: col.lost.Load()}
		if subs := col.subscribed.Load(); subs != nil {
			for _, s := range *subs {
				d.Types = append(d.Types, MessageType{s.vendor, s.subtype})
			}
		}
		out = append(out, d)
		imcs = append(imcs, col.imc)
	}
	c.mu.Unlock()
	for i, imc := range imcs { // which may wait for a call into it
		if l, ok := imc.(Library); ok {
			out[i].Source, out[i].Interface = l.Source(), l.Interface()
		}
	}
	return out
}
