package tnccs

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/gotnc/gotnc/internal/base/log"
)

// collector is one IMC with what it has told the client. One that is lost stays
// lost: a new collector takes its place.
type collector struct {
	id   uint32
	name string
	imc  IMC                 // nil where a restart failed
	load func() (IMC, error) // nil: not started again

	subscribed atomic.Pointer[[]subscription]
	lost       atomic.Bool
}

type subscription struct{ vendor, subtype uint32 }

// wants reports whether the collector subscribed to the type. strongSwan's
// rule: a wildcard vendor counts only with a wildcard subtype.
func (c *collector) wants(vendor, subtype uint32) bool {
	subs := c.subscribed.Load()
	if subs == nil {
		return false
	}
	for _, s := range *subs {
		if s.vendor == AnyVendor && s.subtype == AnySubtype ||
			s.vendor == vendor && (s.subtype == AnySubtype || s.subtype == subtype) {
			return true
		}
	}
	return false
}

// Add initializes imc under the next free ID and registers it. The client owns
// imc from now on: it terminates it in Close, or before Add returns an error.
func (c *Client) Add(name string, imc IMC) error {
	return c.add(&collector{name: name, imc: imc})
}

// AddLoader is Add for an IMC that load makes. Where it is lost, load makes it
// anew for the next connection, under the same ID.
func (c *Client) AddLoader(name string, load func() (IMC, error)) error {
	imc, err := load()
	if err != nil {
		return err
	}
	return c.add(&collector{name: name, imc: imc, load: load})
}

func (c *Client) add(col *collector) error {
	name, imc := col.name, col.imc
	c.mu.Lock()
	err := ErrClosed
	switch {
	case c.closed:
	case len(c.imcs) >= MaxIMCs || len(c.ids) >= MaxIDs:
		err = fmt.Errorf("more than %d IMCs", MaxIMCs)
	default:
		err = nil
		col.id = c.nextIMC
		c.nextIMC++
		c.ids[col.id] = col
	}
	c.mu.Unlock()
	if err == nil {
		err = imc.Initialize(col.id, c)
	}
	c.mu.Lock()
	if err == nil && c.closed {
		err = ErrClosed
	}
	if err == nil {
		c.imcs = append(c.imcs, col)
	} else {
		c.forget(col)
	}
	c.mu.Unlock()
	if err != nil {
		log.Warnf(c.imc, "IMC %q failed to initialize: %v", name, err)
		_ = imc.Terminate() // the reason stands in err
		return fmt.Errorf("initialize IMC %q: %w", name, err)
	}
	from := ""
	if s, ok := imc.(Library); ok {
		from = fmt.Sprintf(" from '%s'", s.Source())
	}
	log.Infof(c.tnc, "IMC %d %q loaded%s", col.id, name, from)
	return nil
}

// revive starts the lost IMCs again that can be, and returns all in use, in
// load order, with what went wrong.
func (c *Client) revive() (use []*collector, errs []error) {
	c.reviving.Lock()
	defer c.reviving.Unlock()
	c.mu.Lock()
	all := slices.Clone(c.imcs)
	c.mu.Unlock()
	for i, col := range all {
		if !col.lost.Load() {
			use = append(use, col)
			continue
		}
		if col.load == nil {
			continue
		}
		fresh := &collector{id: col.id, name: col.name, load: col.load}
		if col.imc != nil {
			_ = col.imc.Terminate() // it is lost: that frees what is left of it
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, []error{ErrClosed}
		}
		c.forget(col)
		c.ids[fresh.id] = fresh
		c.imcs[i] = fresh
		c.mu.Unlock()
		imc, err := col.load()
		if err == nil {
			if err = imc.Initialize(fresh.id, c); err != nil {
				_ = imc.Terminate() // the reason stands in err
			}
		}
		if err != nil {
			fresh.lost.Store(true)
			err = fmt.Errorf("start IMC %d %q again: %w", fresh.id, fresh.name, err)
			c.imc.Error(err.Error())
			errs = append(errs, err)
			continue
		}
		c.mu.Lock()
		fresh.imc = imc
		c.mu.Unlock()
		log.Infof(c.imc, "IMC %d %q started again", fresh.id, fresh.name)
		use = append(use, fresh)
	}
	return use, errs
}

// forget removes all IDs of col. The mutex is held.
func (c *Client) forget(col *collector) {
	for id, o := range c.ids {
		if o == col {
			delete(c.ids, id)
		}
	}
}
