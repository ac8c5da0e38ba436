package esp

import (
	"net/netip"
	"sync"
)

// nonePlane carries nothing.
type nonePlane struct {
	counters counters
	once     sync.Once
	done     chan struct{}
}

func (p *nonePlane) Kind() Kind            { return None }
func (p *nonePlane) Device() string        { return "" }
func (p *nonePlane) Receive([]byte)        { p.counters.failed.Add(1) }
func (p *nonePlane) Remove(uint32) bool    { return false }
func (p *nonePlane) Stats() Stats          { return p.counters.stats() }
func (p *nonePlane) Done() <-chan struct{} { return p.done }
func (p *nonePlane) Err() error            { return nil }

func (p *nonePlane) Activate(uint32)                         {}
func (p *nonePlane) Moved(_, _ netip.AddrPort, _ bool) error { return nil }

func (p *nonePlane) Install(c Child) error {
	for _, c := range []Cipher{c.In, c.Out} {
		if c != nil {
			c.Zero()
		}
	}
	return nil
}

func (p *nonePlane) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
