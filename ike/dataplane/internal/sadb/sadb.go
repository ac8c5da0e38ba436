// Package sadb holds the ESP SAs of a connection whose packets this program
// seals and opens: the security association database of RFC 4301 section 4.4.2.
// The planes tun and memory carry its packets.
package sadb

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxSAs limits the SAs that are installed at once, through rekeying.
const maxSAs = 64

// Config is what a DB is made with.
type Config struct {
	Logger *slog.Logger // nil discards
	// Authenticated, where set, is called for every packet that authenticates.
	Authenticated func()
}

// DB is the SAs, the newest first. It is safe for concurrent use; Sender and Open
// take no lock.
type DB struct {
	cfg Config
	log *slog.Logger // ESP

	sas     atomic.Pointer[[]*esp.SA]
	mu      sync.Mutex // writers of sas, and what follows
	removed esp.Stats  // of removed SAs
	closed  bool

	early early

	// What no SA counts.
	malformed, unknown, failed atomic.Uint64
}

// New returns a DB without SAs.
func New(cfg Config) *DB {
	d := &DB{cfg: cfg, log: log.Group(cfg.Logger, log.ESP)}
	d.sas.Store(new([]*esp.SA))
	return d
}

// Failed counts packets that could not be sent or delivered, Malformed those that
// are no IP packets.
func (d *DB) Failed(packets int) { d.failed.Add(uint64(packets)) }

// Malformed is described at Failed.
func (d *DB) Malformed(packets int) { d.malformed.Add(uint64(packets)) }

// NewSA makes the SAs of a CHILD_SA and zeroes the keys in it, also where it
// fails. They carry nothing before Add.
func (d *DB) NewSA(child *ike.ChildSA, replayWindow int, standby bool) (*esp.SA, error) {
	defer child.Zero()
	if child.Keys == nil {
		return nil, errors.New("make ESP SA: the CHILD_SA has no keys")
	}
	in, out, err := child.Ciphers(nil)
	if err != nil {
		return nil, fmt.Errorf("make ESP SA: %w", err)
	}
	sa, err := esp.NewSA(esp.Config{
		SPIIn: child.SPIIn, SPIOut: child.SPIOut, In: in, Out: out, ESN: child.ESP.ESN, LocalTS: child.LocalTS, RemoteTS: child.RemoteTS,
		ReplayWindow: replayWindow, Standby: standby, Authenticated: d.cfg.Authenticated,
	})
	if err != nil {
		in.Zero()
		out.Zero()
		return nil, err
	}
	return sa, nil
}

// Add installs sa as the newest SA. Where it fails sa is closed.
func (d *DB) Add(sa *esp.SA) error {
	spiIn, _ := sa.SPIs()
	d.mu.Lock()
	defer d.mu.Unlock()
	have := *d.sas.Load()
	var err error
	switch {
	case d.closed:
		err = esp.ErrClosed
	case len(have) >= maxSAs:
		err = fmt.Errorf("install ESP SA: %d are installed already, remove old ones", len(have))
	case find(have, spiIn) != nil:
		err = fmt.Errorf("install ESP SA: SPI %08x is in use", spiIn)
	}
	if err != nil {
		sa.Close()
		return err
	}
	all := append([]*esp.SA{sa}, have...)
	d.sas.Store(&all)
	return nil
}

func find(sas []*esp.SA, spiIn uint32) *esp.SA {
	for _, sa := range sas {
		if in, _ := sa.SPIs(); in == spiIn {
			return sa
		}
	}
	return nil
}

// Newest returns the newest SA; nil where there is none.
func (d *DB) Newest() *esp.SA {
	if sas := *d.sas.Load(); len(sas) > 0 {
		return sas[0]
	}
	return nil
}

// Activate lets the SA with that inbound SPI send.
func (d *DB) Activate(spiIn uint32) {
	if sa := find(*d.sas.Load(), spiIn); sa != nil {
		sa.Activate()
	}
}

// Remove closes the SA with that inbound SPI, and reports whether there was one.
func (d *DB) Remove(spiIn uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := *d.sas.Load()
	sa := find(have, spiIn)
	if sa == nil {
		return false
	}
	d.removed.Add(sa.Stats())
	sa.Close()
	keep := slices.DeleteFunc(slices.Clone(have), func(o *esp.SA) bool { return o == sa })
	d.sas.Store(&keep)
	return true
}

// Readdress replaces a local address in the selectors of all SAs.
func (d *DB) Readdress(from, to netip.Addr) {
	for _, sa := range *d.sas.Load() {
		sa.Readdress(from, to)
	}
}

// Close closes all SAs; later ones are refused.
func (d *DB) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, sa := range *d.sas.Load() {
		d.removed.Add(sa.Stats())
		sa.Close()
	}
	d.sas.Store(new([]*esp.SA))
}

// Sender returns the newest SA that may send packet; where none fits, the newest
// that may send at all, which counts the drop. It is nil where there is none.
func (d *DB) Sender(packet []byte) (first *esp.SA) {
	sas := *d.sas.Load()
	for _, sa := range sas {
		if sa.Standby() {
			continue
		}
		if first == nil {
			first = sa
			if len(sas) == 1 {
				return sa
			}
		}
		if sa.Carries(packet) {
			return sa
		}
	}
	return first
}

// Open decrypts an ESP packet in place and returns the IP packet in it, which
// begins at pkt[at]; nil where the packet is dropped. One whose SA is not
// installed yet is kept for TakeEarly.
func (d *DB) Open(pkt []byte) (inner []byte, at int) {
	spi, ok := esp.SPI(pkt)
	if !ok {
		d.malformed.Add(1)
		return nil, 0
	}
	sa := find(*d.sas.Load(), spi)
	if sa == nil {
		d.unknown.Add(1)
		d.early.keep(spi, pkt)
		return nil, 0
	}
	inner, err := sa.Open(pkt)
	if err != nil {
		log.Debugf(d.log, "dropped a packet: %v", err)
		return nil, 0
	}
	return inner, sa.InnerOffset()
}

// OpenClass is Open for a packet whose outer header had that traffic class.
func (d *DB) OpenClass(pkt []byte, class byte) (inner []byte, at int) {
	inner, at = d.Open(pkt)
	if inner == nil {
		return nil, 0
	}
	spi, _ := esp.SPI(pkt) // Open does not change it
	if sa := find(*d.sas.Load(), spi); sa != nil {
		if err := sa.ReceiveClass(inner, class); err != nil {
			log.Debugf(d.log, "dropped a packet: %v", err)
			return nil, 0
		}
	}
	return inner, at
}

// TakeEarly returns the packets that came before the SA of that SPI; they no
// longer count as packets with an unknown SPI.
func (d *DB) TakeEarly(spiIn uint32) [][]byte {
	pkts := d.early.take(spiIn)
	d.unknown.Add(-uint64(len(pkts)))
	return pkts
}

// Stats sums up all SAs so far.
func (d *DB) Stats() esp.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.removed
	s.Malformed += d.malformed.Load()
	s.Unknown += d.unknown.Load()
	s.Failed += d.failed.Load()
	for _, sa := range *d.sas.Load() {
		s.Add(sa.Stats())
	}
	return s
}

// ChildStats is of the SA with that inbound SPI.
func (d *DB) ChildStats(spiIn uint32) (esp.Stats, bool) {
	if sa := find(*d.sas.Load(), spiIn); sa != nil {
		return sa.Stats(), true
	}
	return esp.Stats{}, false
}
