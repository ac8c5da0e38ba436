package tnccs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/gotnc/gotnc/internal/base/log"
)

// collector is one IMC and its subscriptions. One that is lost stays lost: a new
// collector replaces it.
type collector struct {
	id   uint32
	name string
	imc  IMC                 // nil if a restart failed
	load func() (IMC, error) // makes the IMC for a restart; nil: it is not restarted

	subscribed atomic.Pointer[[]subscription]
	lost       atomic.Bool
}

// subscription is a message type that an IMC reported.
type subscription struct{ vendor, subtype uint32 }

// wants reports whether the collector subscribed to the type. As in strongSwan a
// wildcard vendor counts only with a wildcard subtype.
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

// Add initializes imc under the next free ID and registers it. The client then
// owns imc: it terminates it in Close, or before Add returns an error.
func (c *Client) Add(name string, imc IMC) error {
	return c.add(&collector{name: name, imc: imc})
}

// AddLoader is Add for an IMC that load makes. If that is lost, load makes
// another one under the same ID before the next session is opened.
func (c *Client) AddLoader(name string, load func() (IMC, error)) error {
	imc, err := load()
	if err != nil {
		return err
	}
	return c.add(&collector{name: name, imc: imc, load: load})
}

// add initializes and registers the IMC of col.
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
		c.dropIDs(col)
	}
	c.mu.Unlock()
	if err != nil {
		log.Warnf(c.imc, "IMC %q failed to initialize: %v", name, err)
		_ = imc.Terminate() // err is the cause
		return fmt.Errorf("initialize IMC %q: %w", name, err)
	}
	from := ""
	if s, ok := imc.(Library); ok {
		from = fmt.Sprintf(" from '%s'", s.Source())
	}
	log.Infof(c.tnc, "IMC %d %q loaded%s", col.id, name, from)
	return nil
}

// retireOutdated marks collectors as lost that say that they no longer see this
// machine as it is, while no session needs them, so that they are loaded again.
func (c *Client) retireOutdated(all []*collector) {
	c.mu.Lock()
	sessions := slices.Collect(maps.Values(c.sessions))
	c.mu.Unlock()
	if slices.ContainsFunc(sessions, (*Session).inProgress) {
		return
	}
	for _, col := range all {
		if o, ok := col.imc.(interface{ Outdated() bool }); ok && col.load != nil && !col.lost.Load() && o.Outdated() {
			col.lost.Store(true)
		}
	}
}

// inProgress reports whether a session was opened and is not done.
func (s *Session) inProgress() bool {
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	return opened && !s.Done()
}

// restartLost restarts the lost IMCs that have a loader, and returns all IMCs in
// use, in load order, and the errors of those that failed.
func (c *Client) restartLost() (use []*collector, errs []error) {
	c.restarting.Lock()
	defer c.restarting.Unlock()
	c.mu.Lock()
	all := slices.Clone(c.imcs)
	c.mu.Unlock()
	c.retireOutdated(all)
	for i, col := range all {
		switch {
		case !col.lost.Load():
			use = append(use, col)
			continue
		case col.load == nil:
			continue
		}
		fresh, err := c.restart(i, col)
		if errors.Is(err, ErrClosed) {
			return nil, []error{ErrClosed}
		}
		if err != nil {
			err = fmt.Errorf("start IMC %d %q again: %w", col.id, col.name, err)
			log.Errorf(c.imc, "%v", err)
			errs = append(errs, err)
			continue
		}
		log.Infof(c.imc, "IMC %d %q started again", fresh.id, fresh.name)
		use = append(use, fresh)
	}
	return use, errs
}

// restart replaces the lost collector col, the ith of the client, by a new one
// with the same ID. One that cannot be started is registered all the same, as
// lost, for the next attempt.
func (c *Client) restart(i int, col *collector) (*collector, error) {
	if col.imc != nil {
		_ = col.imc.Terminate() // it is lost: this frees its resources
	}
	fresh := &collector{id: col.id, name: col.name, load: col.load}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.dropIDs(col)
	c.ids[fresh.id] = fresh
	c.imcs[i] = fresh
	c.mu.Unlock()
	imc, err := col.load()
	if err == nil {
		if err = imc.Initialize(fresh.id, c); err != nil {
			_ = imc.Terminate() // err is the cause
		}
	}
	if err != nil {
		fresh.lost.Store(true)
		return nil, err
	}
	c.mu.Lock()
	fresh.imc = imc
	c.mu.Unlock()
	return fresh, nil
}

// dropIDs removes all IDs of col. The mutex is held.
func (c *Client) dropIDs(col *collector) {
	for id, o := range c.ids {
		if o == col {
			delete(c.ids, id)
		}
	}
}
