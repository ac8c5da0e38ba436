package client

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike/esp"
)

// Status is the state of a connection that runs. It is what the control socket
// answers; its JSON names are an interface for scripts (docs/json.md).
type Status struct {
	Connection string    `json:"connection"`
	State      string    `json:"state"` // connecting, up, reconnecting, trapped
	PID        int       `json:"pid"`
	Since      time.Time `json:"since,omitzero"`
	Attested   time.Time `json:"attested,omitzero"`
	Gateway    string    `json:"gateway"`
	GatewayID  string    `json:"gateway_id,omitempty"`
	Transport  string    `json:"transport,omitempty"` // udp, or tcp where UDP got no answer; "" = nothing was opened
	Identity   string    `json:"identity"`
	LastHeard  time.Time `json:"last_heard,omitzero"` // newest packet of the gateway
	Decision
	Failure                   // of the newest event: why it is not up, or the newest attestation failed
	IKEProposal string        `json:"ike_proposal,omitempty"`
	Dataplane   string        `json:"dataplane"`
	Device      string        `json:"device,omitempty"`
	VirtualIPs  []string      `json:"virtual_ips,omitempty"`
	DNS         []string      `json:"dns,omitempty"`
	DNSVia      string        `json:"dns_via,omitempty"` // what they were given to; "" = to nothing
	Children    []ChildStatus `json:"children,omitempty"`
	Attempts    []Attempt     `json:"attempts,omitempty"`
	Retrying    string        `json:"retrying,omitempty"` // connection, attestation
	NextAttempt time.Time     `json:"next_attempt,omitzero"`
	Rekeyings   int           `json:"rekeyings"`
	Reconnects  int           `json:"reconnects"`
	Traffic
}

// What is tried again.
const (
	RetryConnection  = "connection"
	RetryAttestation = "attestation"
)

// ChildStatus is a CHILD_SA that is installed, and what it carried.
type ChildStatus struct {
	Child
	Traffic
}

// Traffic counts the packets inside the tunnel.
type Traffic struct {
	PacketsIn  uint64 `json:"packets_in"`
	BytesIn    uint64 `json:"bytes_in"`
	PacketsOut uint64 `json:"packets_out"`
	BytesOut   uint64 `json:"bytes_out"`
}

func trafficOf(s esp.Stats) Traffic {
	return Traffic{PacketsIn: s.InPackets, BytesIn: s.InBytes, PacketsOut: s.OutPackets, BytesOut: s.OutBytes}
}

// shownState returns the state for people: an IKE_SA that has no CHILD_SA any more
// is not up, though another one may follow. The caller holds state.mu.
func (c *Client) shownState() string {
	if s := &c.state; s.phase != Up || len(s.children) > 0 {
		return s.phase
	}
	if c.trap.armed.Load() {
		return Trapped
	}
	return Reconnecting
}

// Status returns the state of the connection. It may be called at any time.
func (c *Client) Status() Status {
	plane, traffic := c.plane.Info(), trafficOf(c.plane.Stats())
	s := &c.state
	carried := map[uint32]Traffic{}
	for _, spiIn := range s.childSPIs() {
		counted, _ := c.plane.ChildStats(spiIn)
		carried[spiIn] = trafficOf(counted)
	}
	transport := c.transport()
	var heard time.Time
	if sock := c.sock.Load(); sock != nil {
		heard = sock.Stats().LastReceived
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{
		Connection: s.result.Connection, State: c.shownState(), PID: os.Getpid(), Attested: s.attested,
		GatewayID: s.result.GatewayID, Identity: s.result.Identity,
		Decision: s.decision, Failure: s.failure, Retrying: s.retry, LastHeard: heard, IKEProposal: s.result.IKEProposal, Rekeyings: s.rekeyings, Reconnects: s.reconnects,
		Dataplane: string(plane.Kind), Device: plane.Device, Transport: transport,
		Traffic: traffic, Attempts: slices.Clone(s.result.Attempts), NextAttempt: s.next,
	}
	if out.State == Up {
		out.Since = s.since
	}
	if s.result.Gateway.IsValid() {
		out.Gateway = s.result.Gateway.String()
	}
	if out.Recommendation == "" {
		out.Recommendation = None
	}
	for _, a := range s.internal.Addresses {
		out.VirtualIPs = append(out.VirtualIPs, a.Addr().String())
	}
	for _, d := range s.internal.DNS {
		out.DNS = append(out.DNS, d.String())
	}
	out.DNSVia = s.dnsVia
	for spiIn, ch := range s.children {
		out.Children = append(out.Children, ChildStatus{ch, carried[spiIn]})
	}
	slices.SortFunc(out.Children, func(a, b ChildStatus) int { return strings.Compare(a.SPIIn, b.SPIIn) })
	return out
}
