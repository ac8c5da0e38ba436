package dataplanetest

import (
	"net/netip"
	"testing"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
)

// Conform runs a plane through what its users rely on, and fails t where it does
// something else. The plane is new; Conform attaches a Socket to it and closes it.
func Conform(t testing.TB, p dataplane.Plane) {
	t.Helper()
	check := func(err error, what string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if p.Info().Kind == "" {
		t.Fatal("Info: a plane has a kind")
	}
	// Nothing is installed yet.
	check(p.Activate(1000), "Activate without CHILD_SA")
	check(p.Remove(1000), "Remove without CHILD_SA")
	check(p.Close(), "Close without CHILD_SA")

	const first, second = 0xc0000001, 0xc0000011
	moved := ike.Moved{Path: ike.Path{Local: netip.MustParseAddrPort("192.168.0.101:4500"), Remote: netip.MustParseAddrPort("192.168.0.1:4500")}, Encap: true}
	for range 2 { // a plane can be used again after Close
		check(p.Attach(NewSocket(nil)), "Attach")
		install := func(spi uint32, standby bool) {
			t.Helper()
			child, _ := Children("aes128gcm16", spi, spi+1, 1)
			event := ike.Event(ike.ChildEstablished{Child: child})
			if standby {
				event = ike.ChildRekeyed{SPIIn: first, Child: child, Standby: true}
			}
			check(dataplane.Handle(p, event), "Install")
			zeroed(t, child)
			if p.Info().Kind == dataplane.None {
				return
			}
			if _, ok := p.ChildStats(spi); !ok {
				t.Fatalf("ChildStats of %08x: it is not installed", spi)
			}
		}
		install(first, false)
		install(second, true)
		check(dataplane.Handle(p, ike.ChildActive{SPIIn: second}), "Activate")
		check(dataplane.Handle(p, ike.ChildClosed{SPIIn: first, Rekeyed: true}), "Remove")
		if _, ok := p.ChildStats(first); ok {
			t.Fatal("ChildStats: a CHILD_SA that was removed")
		}
		if err := dataplane.Handle(p, moved); err != nil && err != dataplane.ErrRekey {
			t.Fatalf("Move: %v", err)
		}
		check(dataplane.Handle(p, ike.Established{}), "an event that does not concern packets")
		_ = p.Stats()
		check(p.Close(), "Close")
		check(p.Close(), "a second Close")
	}
	leftovers(t, p)
}

// leftovers checks that what a plane names can be given to its backend.
func leftovers(t testing.TB, p dataplane.Plane) {
	t.Helper()
	child, _ := Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	l := p.Leftovers(child)
	if l.Kind == "" {
		return
	}
	if l.Kind != p.Info().Kind || l.Gateway != child.Remote || l.Table == 0 || l.Priority == 0 {
		t.Fatalf("Leftovers: %+v", l)
	}
}

func zeroed(t testing.TB, child *ike.ChildSA) {
	t.Helper()
	for _, key := range [][]byte{child.Keys.Ei, child.Keys.Er, child.Keys.Ai, child.Keys.Ar} {
		for _, b := range key {
			if b != 0 {
				t.Fatal("Install leaves keys in the CHILD_SA")
			}
		}
	}
}
