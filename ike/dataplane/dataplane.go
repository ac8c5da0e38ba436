// Package dataplane is the contract of what carries the packets of CHILD_SAs: a
// Plane. The folders below it implement it:
//
//   - tun: ESP in this program, over a TUN device with routes and rules;
//   - xfrm: the kernel's ESP, with states and policies;
//   - memory: ESP in this program, whose packets are octets in Go: no device, no
//     rights, for trying a tunnel, for user-space network stacks and for tests;
//   - None, in this package: no packet is carried.
//
// # Usage
//
// Open chooses a plane, Attach gives it the socket of the connection, Handle
// carries the events of an IKE_SA to it:
//
//	plane, err := dataplane.Open(dataplane.Config{Name: "home"}, tun.Backend(), xfrm.Backend())
//	...
//	defer plane.Close()
//	sock, err := transport.Open(...)
//	...
//	if err := plane.Attach(sock); err != nil { ... }
//	cfg.ForceEncap = plane.Info().UDPOnly
//	err = sock.Run(ctx, cfg, func(e ike.Event) {
//		if err := dataplane.Handle(plane, e); err != nil { ... }
//	})
//
// A client that wants to decide for itself calls Install, Activate, Remove and
// Move. One that is to clean up after a run that was killed writes down what
// Leftovers returns before Install, and gives it to RemoveLeftovers at the next
// start.
package dataplane

import (
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
)

// Plane carries the packets of the CHILD_SAs of one connection. It is safe for
// concurrent use.
type Plane interface {
	// Info describes the plane as it is now.
	Info() Info

	// Attach makes s the socket of the connection: before the first Install, and
	// again after a reconnection.
	Attach(s Socket) error

	// Trap catches the packets of CHILD_SAs that are not there yet: Config.Acquire
	// is called for them. Of each ChildSA it reads Name, LocalTS, RemoteTS, Local
	// and Remote. It comes before Install; ErrNoTrap where the plane cannot.
	Trap(children ...*ike.ChildSA) error

	// Install adds a CHILD_SA: the first one of a connection, which makes devices,
	// virtual IPs and routes, a further one, or a rekeyed one, whose predecessor
	// receives until it is removed. On standby it only receives, until Activate or
	// its first packet. Of the CHILD_SAs that fit a packet the newest sends that is
	// not on standby. Install zeroes the keys of the ChildSA, also where it fails.
	//
	// The virtual IPs are those of the first CHILD_SA: for others, Close the plane
	// and Install again.
	Install(child *ike.ChildSA, standby bool) error

	// Activate lets the CHILD_SA with that inbound SPI send that is on standby.
	Activate(spiIn uint32) error

	// Remove drops the CHILD_SA with that inbound SPI and zeroes its keys. Where
	// there is none it does nothing.
	Remove(spiIn uint32) error

	// Move follows the outer addresses to another path. ErrRekey means that packets
	// follow only when the CHILD_SAs are rekeyed.
	Move(e ike.Moved) error

	// Leftovers returns what Install or Trap of these CHILD_SAs makes that outlives
	// a process that is killed.
	Leftovers(children ...*ike.ChildSA) Leftovers

	// Stats sums up all CHILD_SAs so far, removed ones included; ChildStats is of
	// one that is installed. Where the plane does not count, they are zero.
	Stats() esp.Stats
	ChildStats(spiIn uint32) (s esp.Stats, ok bool)

	// Close removes everything that the plane made and zeroes all keys. It returns
	// what could not be removed. Install and Trap may follow.
	Close() error
}

// Info describes a Plane.
type Info struct {
	Kind Kind
	// Carries: packets can pass, so that name servers behind the gateway can be
	// reached, and something may have to be cleaned up.
	Carries bool
	// UDPOnly: ESP has to travel in UDP (ike.Config.ForceEncap).
	UDPOnly bool
	// Device is the network device that the plane made; "" where there is none.
	Device string
}

// Socket is what a Plane sends and receives through; *transport.Conn of ike/transport is
// one.
type Socket interface {
	// SendESP sends ESP packets to the gateway in UDP, in order, and does not keep
	// them. Safe for concurrent use.
	SendESP(packets ...[]byte) error
	// OnESP sets the receiver of ESP packets from the gateway, without their UDP
	// header. The packets are valid during the call, and may be changed.
	OnESP(receive func(packets ...[]byte))
	// Alive tells the IKE_SA that a packet authenticated: a sign of life.
	Alive()
	// Sent tells the IKE_SA that packets were sent to the gateway otherwise than by
	// SendESP.
	Sent()
	// KernelESP hands ESP packets that arrive in UDP to the kernel.
	KernelESP() error
	// Bypass exempts the socket from the kernel's policies.
	Bypass() error
}

// ClassSocket is a Socket that knows the traffic class (DSCP and ECN) of the outer
// headers; *transport.Conn in UDP is one. Over TCP there is one header for many
// packets: what is sent has no class, what arrives has class 0.
type ClassSocket interface {
	Socket
	// SendESPClass is SendESP with that traffic class.
	SendESPClass(class byte, packets ...[]byte) error
	// OnESPClass is OnESP with a receiver of packets of one class a call. It takes
	// the place of OnESP's.
	OnESPClass(receive func(class byte, packets ...[]byte))
	// ClearDF sends what follows without IPv4's don't fragment bit.
	ClearDF() error
}

// Handle carries an event of an IKE_SA to a plane; events that do not concern
// packets are ignored. After ErrRekey the CHILD_SAs have to be rekeyed:
// (*transport.Handle).RekeyChildren.
func Handle(p Plane, e ike.Event) error {
	switch e := e.(type) {
	case ike.ChildEstablished:
		return p.Install(e.Child, e.Standby)
	case ike.ChildRekeyed:
		return p.Install(e.Child, e.Standby)
	case ike.ChildActive:
		return p.Activate(e.SPIIn)
	case ike.ChildClosed:
		return p.Remove(e.SPIIn)
	case ike.Moved:
		return p.Move(e)
	}
	return nil
}
