package esp

import (
	"fmt"
	"slices"
)

func (p *tunPlane) Activate(spiIn uint32) {
	for _, sa := range *p.sas.Load() {
		if sa.spiIn == spiIn {
			sa.Activate()
		}
	}
}

func (p *tunPlane) Install(c Child) error {
	sa, err := NewSA(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	have := *p.sas.Load()
	switch {
	case p.closing.Load():
		sa.Close()
		return ErrClosed
	case len(have) >= maxSAs:
		sa.Close()
		return fmt.Errorf("install ESP SA: %d stand already, remove old ones", len(have))
	case slices.ContainsFunc(have, func(o *SA) bool { return o.spiIn == sa.spiIn }):
		sa.Close()
		return fmt.Errorf("install ESP SA: SPI %08x is in use", sa.spiIn)
	}
	all := append([]*SA{sa}, have...)
	p.sas.Store(&all)
	if !p.cfg.NoRoutes {
		if err := p.addRoutes(p.link, *sa.local.Load(), sa.remote); err != nil {
			return err
		}
	}
	p.release()
	p.receiveEarly(sa.spiIn)
	return nil
}

func (p *tunPlane) Remove(spiIn uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep []*SA
	found := false
	for _, sa := range *p.sas.Load() {
		if sa.spiIn == spiIn {
			found = true
			p.gone.Add(sa.Stats())
			sa.Close()
			continue
		}
		keep = append(keep, sa)
	}
	p.sas.Store(&keep)
	return found
}
