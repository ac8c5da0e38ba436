package ike

import (
	"net/netip"
)

// Packet is one datagram to send.
type Packet struct {
	From netip.AddrPort // Config.Local or Config.LocalNATT
	To   netip.AddrPort
	// Marker: four zero octets (the non-ESP marker, RFC 3948 section 2.2) go before
	// Data on the wire.
	Marker bool
	Data   []byte // the IKE message; not changed by the Machine afterwards
}

// Datagram is one received datagram, the non-ESP marker already removed.
// Data is only read during Handle.
type Datagram struct {
	From netip.AddrPort
	To   netip.AddrPort // the local address; may be zero
	Data []byte
}

// Outputs is what a call of the Machine asks for: packets to send in order,
// events to act on in order, and work whose Result goes to Machine.Resume. The
// next deadline is Machine.NextDeadline.
type Outputs struct {
	Packets []Packet
	Events  []Event
	Work    []Work
}

// Event is one of the types below.
type Event interface{ event() }

// Established: both sides are authenticated. Child follows as an event of its
// own in the same Outputs.
type Established struct {
	SPIi, SPIr uint64
	Suite      string // "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"
	Local      netip.AddrPort
	Remote     netip.AddrPort
	RemoteID   Identity
	NATLocal   bool // we are behind a NAT (or ForceEncap says so)
	NATRemote  bool // the gateway is
}

// ChildEstablished: the CHILD_SA can be installed.
type ChildEstablished struct {
	Child *ChildSA
	// Standby: the gateway set it up beside another one for the same traffic. Install
	// it, but send on that one until ChildActive, or until a packet arrives on this.
	Standby bool
}

// ChildRekeyed: Child replaces the CHILD_SA with those SPIs, whose
// inbound half stays until ChildClosed. It comes before the packets of the same
// Outputs are sent, so that none is lost.
type ChildRekeyed struct {
	SPIIn, SPIOut uint32 // of the old one
	Child         *ChildSA
	// Standby: install it, but send on the old one until ChildActive, or until
	// a packet arrives on the new one.
	Standby bool
}

// ChildActive: a CHILD_SA on standby sends from now on.
type ChildActive struct {
	SPIIn uint32
}

// ChildFailed: the IKE_SA stays, the CHILD_SA was refused.
type ChildFailed struct {
	Name string
	Err  error
}

// ChildClosed: the CHILD_SA is gone; stop using it.
type ChildClosed struct {
	SPIIn, SPIOut uint32
	// Rekeyed: another one has replaced it.
	Rekeyed bool
	// Renewing: another one is being set up, and ChildEstablished follows. Where the
	// gateway refuses that the IKE_SA ends with Failed, unless it has other CHILD_SAs.
	Renewing bool
}

// Rekeyed: the IKE_SA has new keys and SPIs.
type Rekeyed struct {
	SPIi, SPIr uint64
	Suite      string
}

// ReauthDue: a new IKE_SA is to replace this one, which goes on working
// until it is deleted (make before break).
type ReauthDue struct {
	Reason string
}

// Moved: datagrams take another path (MOBIKE).
type Moved struct {
	Path  Path
	Encap bool // ESP travels in UDP
}

// Failed: the IKE_SA could not be set up, or died (no answer). The Machine is
// finished.
type Failed struct {
	Err error
}

// Closed: the IKE_SA was deleted in order. The Machine is finished.
type Closed struct {
	ByPeer bool
}

func (Established) event()      {}
func (ChildEstablished) event() {}
func (ChildRekeyed) event()     {}
func (ChildActive) event()      {}
func (Rekeyed) event()          {}
func (ReauthDue) event()        {}
func (Moved) event()            {}
func (ChildFailed) event()      {}
func (ChildClosed) event()      {}
func (Failed) event()           {}
func (Closed) event()           {}

// Internal is the configuration that the gateway assigned (RFC 7296 section 3.15).
type Internal struct {
	Addresses []netip.Prefix // virtual IPs, as /32 and /128
	DNS       []netip.Addr
	Subnets   []netip.Prefix
	Domains   []string // INTERNAL_DNS_DOMAIN (RFC 8598)
}
